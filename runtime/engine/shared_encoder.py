"""Finetuned models that share one encoder, each with its own LoRA factors and decoders.

In: a package folder and its manifest. Out: what ``Model.use`` switches between. Nothing is read
before it is needed: the encoder and an adapter's factors at its first image, its decoders at the
first prompt or segmentation. Called by ``package.py``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from samzoo.runtime.errors import NotFoundError, WrongBaseError, shown
from samzoo.runtime.formats.arrays import Array, Float4D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.lora_factors import Factors, FactorShapes, read_factors
from samzoo.runtime.formats.manifest import (
    AIS_DECODER,
    ENCODER,
    FACTORS,
    MASK_DECODER,
    Manifest,
    reader,
)

from .providers import CPU
from .sessions import OnnxNetworks
from .variants import Variant


class AdaptedNetworks:
    """See ``networks.Networks``: a shared encoder run with one adapter's factors."""

    def __init__(
        self,
        encoder: OnnxNetworks,
        decoders: OnnxNetworks,
        read_factors: Callable[[FactorShapes], Factors],
    ) -> None:
        """Prepare an adapter.

        Args:
            encoder: Its encoder takes factors.
            decoders: The adapter's own; its encoder is not used.
            read_factors: Reads the factors for an encoder that takes such shapes.
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
        """Return the factors, which are read once.

        Raises:
            NotFoundError: The file is not there.
            FormatError: It differs from the manifest, or does not fit the encoder.
            StorageError: There is no room for a temporary file.
        """
        with self._lock:
            if self._factors is None:
                self._factors = self._read(self.encoder.factor_shapes())
            return self._factors


def open_adapters(
    folder: Path,
    manifest: Manifest,
    *,
    base: Path | None = None,
    threads: int | None = None,
    provider: str = CPU,
) -> dict[str, Variant]:
    """Prepare every adapter of a package.

    Args:
        folder: The package.
        manifest: Its manifest, which has adapters.
        base: The package that has the encoder, where this one has none.
        threads: CPU threads of one operator; all cores by default.
        provider: Where the graphs run.

    Returns:
        Configs and networks by adapter name, in the manifest's order.

    Raises:
        NotFoundError: The encoder is in another package, and ``base`` is not given.
        WrongBaseError: ``base`` has another encoder.
        FormatError: A file that an adapter needs is not listed.
    """
    encoder = OnnxNetworks(
        _encoder_reader(folder, manifest, base),
        mask_side=4 * manifest.model.grid,
        threads=threads,
        provider=provider,
    )
    variants = {}
    for entry in manifest.adapters:
        roles = [FACTORS, MASK_DECODER]
        if entry.model.architecture.ais_decoder is not None:
            roles.append(AIS_DECODER)
        networks = adapted_networks(
            encoder,
            reader(folder, manifest, roles, entry.name),
            entry.model,
            f"{folder}: the factors of {entry.name!r}",
            threads=threads,
            provider=provider,
        )
        variants[entry.name] = Variant(entry.model, networks, entry.name)
    return variants


def adapted_networks(
    encoder: OnnxNetworks,
    read: Callable[[str], bytes],
    config: ModelConfig,
    where: str,
    *,
    threads: int | None = None,
    provider: str = CPU,
) -> AdaptedNetworks:
    """Put an adapter's networks together, of a package's files or of one that is being written.

    Args:
        encoder: Takes factors.
        read: Gives the adapter's decoders and its ``.onnx_adapter`` file by role.
        config: Of its model.
        where: Begins messages about the factors.
        threads: As in ``open_adapters``.
        provider: As in ``open_adapters``.

    Returns:
        The networks; the factors are checked when the first image is encoded.
    """
    decoders = OnnxNetworks(read, mask_side=4 * config.grid, threads=threads, provider=provider)
    return AdaptedNetworks(
        encoder, decoders, lambda shapes: read_factors(read(FACTORS), shapes, where=where)
    )


def _encoder_reader(folder: Path, manifest: Manifest, base: Path | None) -> Callable[[str], bytes]:
    source = manifest.encoder_from
    if source is None:
        return reader(folder, manifest, [ENCODER])
    if base is None:
        raise NotFoundError(
            f"{folder}: holds adapters alone; their encoder is in the package {source.name!r} "
            f"({shown(source.reference)}), which samzoo pull brings: pass its folder as base"
        )
    base_manifest = Manifest.read(base)
    if not source.is_in(base_manifest):
        entry = base_manifest.graph(ENCODER)
        found = "none" if entry is None else f"one of sha256 {shown(entry.sha256, limit=20)}"
        raise WrongBaseError(
            f"{base}: encoder: found {found}, the adapters of {folder} need sha256 "
            f"{shown(source.sha256, limit=20)}; pass the package {source.name!r} "
            f"({shown(source.reference)})"
        )
    return reader(base, base_manifest, [ENCODER])
