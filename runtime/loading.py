"""From a package folder to a ``Model`` that is ready to run."""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.engine.providers import CPU
from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.runtime.engine.shared_encoder import OpenEncoders, open_adapters
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER, Manifest, reader

from .model import Model


def load(
    package: str | Path,
    *,
    base: str | Path | None = None,
    threads: int | None = None,
    provider: str = CPU,
    encoders: OpenEncoders | None = None,
) -> Model:
    """Open a package; each of its graphs is checked and loaded when it is first used.

    Args:
        package: The package's folder.
        base: The folder of the package with the encoder, if this package has adapters only;
            ``samzoo.zoo.load`` finds it.
        threads: CPU threads of one operator; all cores by default.
        provider: Where the graphs run: ``cpu``, ``cuda``, ``coreml``, ``openvino`` or
            ``directml``; see ``docs/api.md``. No other provider is used instead.
        encoders: Pass the same object for several packages, and those of adapters over one encoder
            open it once; see ``samzoo.runtime.engine.shared_encoder``.

    Returns:
        The model. If several share the package's encoder, the first is in use; ``Model.use``
        chooses another.

    Raises:
        InputError: ``threads`` is below 1, there is no such provider, or ``base`` is given for a
            package that has an encoder.
        MissingDependencyError: This onnxruntime does not have the provider, or (at first use) its
            libraries do not load.
        NotFoundError: There is no package in this folder, or ``base`` is missing.
        WrongBaseError: ``base`` has another encoder.
        FormatError: The manifest is damaged or incomplete, or (at first use) a file differs from
            what the manifest says.

    Example:
        >>> from samzoo.runtime import load
        >>> from samzoo.zoo import resolve
        >>> model = load(resolve("nuclei-vit-t"))
        >>> model.config.image_size
        256
        >>> load("no/such/folder")
        Traceback (most recent call last):
        samzoo.runtime.errors.NotFoundError: no/such/folder: no samzoo package here (samzoo.json \
is missing)
    """
    folder = Path(package)
    manifest = Manifest.read(folder)
    if base is not None and manifest.encoder_from is None:
        raise InputError(f"base: found {str(base)!r}, but {folder} has its own encoder; omit base")
    spec = ModelSpec(
        str(folder.resolve()), None if base is None else str(Path(base).resolve()),
        threads=threads, provider=provider,
    )  # fmt: skip
    if manifest.adapters:
        adapters = open_adapters(
            folder, manifest, base=None if base is None else Path(base), threads=threads,
            provider=provider, encoders=encoders,
        )  # fmt: skip
        first = next(iter(adapters.values()))
        return Model(first.config, first.networks, adapters=adapters, spec=spec)
    roles = [ENCODER, MASK_DECODER]
    if manifest.model.architecture.ais_decoder is not None:
        roles.append(AIS_DECODER)
    read = reader(folder, manifest, roles)
    networks = OnnxNetworks(
        read, manifest.model, where=read.where, threads=threads, provider=provider
    )
    return Model(manifest.model, networks, spec=spec)


def open_model(spec: ModelSpec) -> Model:
    """Open the model that another process uses.

    Args:
        spec: ``Model.spec`` of that process.

    Returns:
        The model, with the same adapter in use.

    Raises:
        SamzooError: As ``load``.
    """
    model = load(spec.package, base=spec.base, threads=spec.threads, provider=spec.provider)
    if spec.adapter is not None:
        model.use(spec.adapter)
    return model.for_objects(spec.diameter)
