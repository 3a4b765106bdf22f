"""Finetuned models that share one encoder, each with its own LoRA factors and decoders.

In: a package folder and its manifest. Out: the variants that ``Model.use`` switches between. Files
are read when they are needed: the encoder and an adapter's factors at the adapter's first image,
its decoders at its first prompt or segmentation.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from pathlib import Path

from samzoo.runtime.errors import FormatError, NotFoundError, WrongBaseError, shown
from samzoo.runtime.formats.arrays import Array, Float4D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.lora_factors import Factors, FactorShapes, read_factors
from samzoo.runtime.formats.manifest import (
    AIS_DECODER,
    DECODER_CHANGES,
    ENCODER,
    FACTORS,
    MASK_DECODER,
    Manifest,
    Reader,
    reader,
)

from .providers import CPU
from .sessions import OnnxNetworks
from .variants import Variant
from .weight_changes import changed_graph


class AdaptedNetworks:
    """A shared encoder with one adapter's factors and decoders; see ``networks.Networks``."""

    def __init__(
        self,
        encoder: OnnxNetworks,
        decoders: OnnxNetworks,
        read_factors: Callable[[FactorShapes], Factors],
    ) -> None:
        """Prepare an adapter.

        Args:
            encoder: Networks whose encoder takes factors.
            decoders: Networks with the adapter's decoders; their encoder is not used.
            read_factors: Reads the factors for an encoder that takes the given shapes.
        """
        self.encoder = encoder
        self._read = read_factors
        self._factors: Factors | None = None
        self._lock = threading.Lock()
        self.decode_prompts = decoders.decode_prompts
        self.decode_ais = decoders.decode_ais

    def encode(self, image: Array) -> Float4D:
        """See ``Networks``."""
        return self.encoder.encode(image, self.factors())

    def factors(self) -> Factors:
        """Return the factors; they are read at the first call.

        Raises:
            NotFoundError: The file does not exist.
            FormatError: The file differs from the manifest, or does not fit the encoder.
            StorageError: There is no room for a temporary file.
        """
        with self._lock:
            if self._factors is None:
                self._factors = self._read(self.encoder.factor_shapes())
            return self._factors


class OpenEncoders:
    """The encoders that are open, so that several packages over one encoder open it once."""

    def __init__(self) -> None:
        self._known: dict[Hashable, OnnxNetworks] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], OnnxNetworks]) -> OnnxNetworks:
        """Return the encoder of a key, which is made if it is not open yet."""
        with self._lock:
            if key not in self._known:
                self._known[key] = make()
            return self._known[key]


def open_adapters(
    folder: Path,
    manifest: Manifest,
    *,
    base: Path | None = None,
    threads: int | None = None,
    provider: str = CPU,
    encoders: OpenEncoders | None = None,
) -> dict[str, Variant]:
    """Prepare every adapter of a package.

    Args:
        folder: The package.
        manifest: Its manifest, which has adapters.
        base: The folder of the package with the encoder, if this package has none.
        threads: CPU threads of one operator; all cores by default.
        provider: Where the graphs run.
        encoders: Encoders that other packages have opened; one with the same file, that runs in
            the same way, is used again.

    Returns:
        Configs and networks by adapter name, in the manifest's order.

    Raises:
        NotFoundError: Another package has the encoder, and ``base`` is not given.
        WrongBaseError: ``base`` has another encoder.
        FormatError: The manifest does not list a file that an adapter needs.
    """
    read = _shared_reader(folder, manifest, base)
    model = manifest.model
    sha256 = read.entries[ENCODER].sha256
    # The graph is compared with these two parts of the config when it is opened.
    key = sha256, model.architecture.image_encoder, model.preprocessing, threads, provider
    encoder = (encoders or OpenEncoders()).get(
        key,
        lambda: OnnxNetworks(read, model, where=read.where, threads=threads, provider=provider),
    )
    variants = {}
    for entry in manifest.adapters:
        changes = manifest.graph(DECODER_CHANGES, entry.name) is not None
        roles = [FACTORS, DECODER_CHANGES if changes else MASK_DECODER]
        if entry.model.architecture.ais_decoder is not None:
            roles.append(AIS_DECODER)
        files = reader(folder, manifest, roles, entry.name)
        if changes and MASK_DECODER not in read.entries:
            raise FormatError(
                f"{files.where(DECODER_CHANGES)}: changes a shared mask decoder, but no file of "
                f"{read.folder} has that role"
            )
        networks = adapted_networks(
            encoder, files, entry.model, where=files.where, threads=threads, provider=provider,
            shared=read if changes else None,
        )  # fmt: skip
        variants[entry.name] = Variant(entry.model, networks, entry.name)
    return variants


def adapted_networks(
    encoder: OnnxNetworks,
    read: Callable[[str], bytes],
    config: ModelConfig,
    *,
    where: Callable[[str], str],
    threads: int | None = None,
    provider: str = CPU,
    shared: Callable[[str], bytes] | None = None,
) -> AdaptedNetworks:
    """Put an adapter's networks together, from a package that exists or is being written.

    Args:
        encoder: Networks whose encoder takes factors.
        read: Returns the bytes of the adapter's decoders and ``.onnx_adapter`` file, by role; with
            ``shared``, of its changes instead of its mask decoder.
        config: The config of the adapter's model.
        where: Names a role's file in messages.
        threads: As in ``open_adapters``.
        provider: As in ``open_adapters``.
        shared: Returns the bytes of the mask decoder that the adapter changes.

    Returns:
        The networks; the factors are checked when the first image is encoded.
    """

    def graph(role: str) -> bytes:
        if shared is None or role != MASK_DECODER:
            return read(role)
        changes = read(DECODER_CHANGES)
        return changed_graph(shared(role), changes, where=where(DECODER_CHANGES))

    def named(role: str) -> str:
        changed = shared is not None and role == MASK_DECODER
        return where(DECODER_CHANGES if changed else role)

    decoders = OnnxNetworks(graph, config, where=named, threads=threads, provider=provider)
    return AdaptedNetworks(
        encoder, decoders, lambda shapes: read_factors(read(FACTORS), shapes, where=where(FACTORS))
    )


def _shared_reader(folder: Path, manifest: Manifest, base: Path | None) -> Reader:
    """Return a reader of the shared encoder, and of the shared mask decoder if there is one."""
    source = manifest.encoder_from
    if source is None:
        return reader(folder, manifest, _shared_roles(manifest))
    if base is None:
        raise NotFoundError(
            f"{folder}: holds adapters without an encoder; it is in the package {source.name!r} "
            f"({shown(source.reference)}): run samzoo pull, and pass its folder as base"
        )
    base_manifest = Manifest.read(base)
    for role in source.missing(base_manifest):
        entry = base_manifest.graph(role)
        found = "none" if entry is None else f"one of sha256 {shown(entry.sha256, limit=20)}"
        raise WrongBaseError(
            f"{base}: {role}: found {found}, the adapters of {folder} need sha256 "
            f"{shown(source.needed[role], limit=20)}; pass the package {source.name!r} "
            f"({shown(source.reference)})"
        )
    return reader(base, base_manifest, _shared_roles(base_manifest))


def _shared_roles(manifest: Manifest) -> list[str]:
    return [ENCODER] if manifest.graph(MASK_DECODER) is None else [ENCODER, MASK_DECODER]
