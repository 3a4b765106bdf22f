"""Assembly of a package with several LoRA adapters over one encoder that they share.

In: adapter folders and their base. Out: a package whose encoder takes the factors as inputs, with
the factors and decoders of each adapter.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import require_installed
from samzoo.runtime.errors import InputError, use_each
from samzoo.runtime.formats.adapter import AdapterConfig, base_folder, check_base
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE, read_model_folder
from samzoo.runtime.formats.manifest import (
    CARD_FILE,
    ENCODER,
    GRAPH_FIELDS,
    WEIGHTS,
    AdapterEntry,
    Manifest,
    Precision,
    read_entry,
    reader,
)
from samzoo.runtime.formats.outputs import check_output_folder
from samzoo.zoo.graphs.shared_graphs import shared_encoder
from samzoo.zoo.merging.folding import input_folders, merged
from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE, QloraBase

from .adapter_files import SharedDecoder, files_of_adapters, shared_decoder, shared_files
from .assembly import check_precision, license_of, package_name, software_versions
from .package_folder import PackageFile, write_package
from .shareable import check_quantization, common_quantization, read_configs
from .stored_weights import weights_file

ROUNDED_TO = "encoder_rounded_to"
"""In the source of a shared encoder's model: the quantization whose rounded weights it holds."""

SHAREABLE_PRECISIONS = ("fp32", "fp16")
"""How a shared encoder's weights may be stored."""


def export_shared(
    adapters: Mapping[str, Path],
    output: Path,
    *,
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    precision: Precision = "fp32",
    name: str | None = None,
    segments: str = "",
    with_weights: bool = False,
    force: bool = False,
) -> Manifest:
    """Write a package with a shared encoder.

    Args:
        adapters: Adapter folders by the names that ``Model.use`` takes; the first is the default.
        output: The package folder to write.
        base: The base of all adapters; by default the folder where the first one's base lay while
            training.
        qlora_base: The encoder's weights for QLoRA adapters: the ``dequantized`` weights they were
            trained on, or the ``original`` ones, an approximation that lets them share an encoder
            with LoRA adapters.
        precision: How the graphs and the factors are stored.
        name: The package's name; by default made from the output folder's name.
        segments: What the models segment, in a few words.
        with_weights: Also store the default adapter's merged weights, so that the package can be
            exported again, for other tools.
        force: Replace an existing ``output``.

    Returns:
        The manifest.

    Raises:
        NotFoundError: A folder holds no adapter, or a file is missing.
        WrongBaseError: The base is not the one an adapter was trained on.
        FormatError: A file is damaged, or an adapter does not fit the encoder.
        InputError: There is no adapter, the method of one cannot share an encoder, or the adapters
            need encoders with different weights.
        OutputExistsError: ``output`` exists and ``force`` is false.
        MissingDependencyError: torch or onnx is not installed.
        StorageError: The disk is full or the folder cannot be written.
    """
    _check_precision(precision)
    configs = read_configs(adapters)
    quantization = common_quantization(configs, adapters, qlora_base)
    folder = prepared(adapters, configs, output, base, force=force)
    base_config, tensors = read_model_folder(folder)
    shared = _shared_config(base_config, next(iter(configs.values())).preprocessing, quantization)
    manifest = Manifest(  # refuses bad names and differences in preprocessing before the work
        name=name or package_name(output),
        segments=segments,
        license=license_of({"base": base_config.source}),
        model=shared,
        files=(),
        precision=precision,
        software=software_versions(),
        adapters=unmerged(configs),
    )
    encoder = shared_encoder(shared, tensors, configs, quantization, precision, where=str(folder))
    decoder = SharedDecoder(shared, folder, precision, None)
    entries, content = files_of_adapters(adapters, manifest, folder, qlora_base, encoder, decoder)
    manifest = dataclasses.replace(manifest, adapters=entries)
    content |= shared_files(encoder, decoder)
    if with_weights:
        first = next(iter(adapters.values()))
        _, weights = merged(first, base=folder, qlora_base=qlora_base)
        content[WEIGHTS_FILE] = PackageFile(
            weights_file(weights, half=precision != "fp32"), WEIGHTS, entries[0].name
        )
    return write_package(output, manifest, content, force=force)


def add_adapters(
    package: Path,
    adapters: Mapping[str, Path],
    output: Path,
    *,
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    force: bool = False,
) -> Manifest:
    """Write a package with the encoder and adapters of another package, and further adapters.

    Args:
        package: A package with a shared encoder.
        adapters: Adapter folders by the names that ``Model.use`` takes.
        output: The package folder to write; not ``package`` itself.
        base: The base of all adapters; by default the folder where the first one's base lay while
            training.
        qlora_base: See ``export_shared``.
        force: Replace an existing ``output``.

    Returns:
        The manifest.

    Raises:
        InputError: As for ``export_shared``; or the package has no shared encoder, or its encoder
            has other weights than an adapter needs.
        SamzooError: As for ``export_shared``.
    """
    manifest = Manifest.read(package)
    if not manifest.adapters or manifest.encoder_from is not None:
        holds = "adapters alone" if manifest.adapters else "one model"
        raise InputError(
            f"{package}: holds {holds}; adapters are added to a package that samzoo share wrote"
        )
    configs = read_configs(adapters)
    check_fits(package, manifest, adapters, configs, qlora_base)
    folder = prepared(adapters, configs, output, base, package, force=force)
    more = dataclasses.replace(manifest, adapters=(*manifest.adapters, *unmerged(configs)))
    encoder = reader(package, manifest, [ENCODER])(ENCODER)
    decoder = shared_decoder(package, manifest, folder)
    entries, content = files_of_adapters(adapters, more, folder, qlora_base, encoder, decoder)
    kept = {
        entry.path: PackageFile(read_entry(package, entry), entry.role, entry.adapter)
        for entry in manifest.files
        if entry.path != CARD_FILE
    }
    more = dataclasses.replace(more, files=(), adapters=(*manifest.adapters, *entries))
    return write_package(output, more, {**kept, **content}, force=force)


def check_fits(
    package: Path,
    manifest: Manifest,
    adapters: Mapping[str, Path],
    configs: Mapping[str, AdapterConfig],
    qlora_base: QloraBase,
) -> None:
    """Refuse adapters that a package's encoder was not made for.

    Raises:
        InputError: The encoder's weights are rounded in another way than the adapters need.
        WrongBaseError: The encoder belongs to another base.
    """
    check_quantization(
        common_quantization(configs, adapters, qlora_base),
        manifest.model.source.get(ROUNDED_TO),
        package,
    )
    _check_bases(configs, adapters, package, manifest.model.weights_digest)


def _check_precision(precision: str) -> None:
    check_precision(precision)
    if precision not in SHAREABLE_PRECISIONS:
        raise InputError(
            f"precision: found {precision!r}, allowed for a shared encoder: "
            f"{', '.join(SHAREABLE_PRECISIONS)}; weights that factors are added to cannot be "
            "integers. Export the adapter into a package of its own"
        )


def prepared(
    adapters: Mapping[str, Path],
    configs: Mapping[str, AdapterConfig],
    output: Path,
    base: Path | None,
    *inputs: Path,
    force: bool,
) -> Path:
    """Make all checks that take no time.

    Args:
        adapters: Adapter folders by name.
        configs: The adapters' configs by name.
        output: The folder to write.
        base: As in ``export_shared``.
        inputs: Other folders that are read; ``output`` must not be one of them.
        force: As in ``export_shared``.

    Returns:
        The base's folder.

    Raises:
        SamzooError: As for ``export_shared``.
    """
    first = next(iter(configs))
    folder = base_folder(configs[first], adapters[first], base)
    sources = [path for source in adapters.values() for path in input_folders(source, folder)]
    check_output_folder(output, force=force, inputs=[*sources, *inputs])
    for needed in (
        "torch",
        "onnx",
    ):  # imported after all checks, since it takes seconds
        require_installed(needed, extra="export")
    digest = ModelConfig.read(folder / CONFIG_FILE).weights_digest
    _check_bases(configs, adapters, folder, digest)
    return folder


def _check_bases(
    configs: Mapping[str, AdapterConfig], adapters: Mapping[str, Path], base: Path, digest: str
) -> None:
    """Refuse all adapters that belong to another base, in one error."""
    use_each(
        "adapters", configs.items(),
        lambda each: check_base(each[1], adapters[each[0]], base, digest),
    )  # fmt: skip


def _shared_config(
    base: ModelConfig, preprocessing: Preprocessing, quantization: str | None
) -> ModelConfig:
    """Return the base's config, with the adapters' preprocessing that the encoder graph holds."""
    in_graph: dict[str, Any] = {field: getattr(preprocessing, field) for field in GRAPH_FIELDS}
    source = dict(base.source)
    if quantization is not None:
        source[ROUNDED_TO] = quantization
    return dataclasses.replace(
        base, preprocessing=dataclasses.replace(base.preprocessing, **in_graph), source=source
    )


def unmerged(configs: Mapping[str, AdapterConfig]) -> tuple[AdapterEntry, ...]:
    """Return the adapters' entries with what is known before merging."""
    return tuple(
        AdapterEntry(
            name=name,
            license=license_of(config.source),
            model=ModelConfig(
                architecture=config.architecture,
                preprocessing=config.preprocessing,
                ais=config.ais,
            ),
        )
        for name, config in configs.items()
    )
