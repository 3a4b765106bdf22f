"""From several LoRA adapters over one base to a package with one encoder that they share.

In: adapter folders and their base. Out: a package whose encoder takes the factors as inputs, and
for each adapter its factors and its decoders. Called by the ``export`` verb.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import ModelConfig, Preprocessing
from samzoo.runtime.errors import InputError, require
from samzoo.runtime.folders import read_model_folder
from samzoo.runtime.manifest import (
    AIS_DECODER,
    ENCODER,
    FACTORS,
    GRAPH_FIELDS,
    MASK_DECODER,
    AdapterEntry,
    Manifest,
    check_name,
)
from samzoo.runtime.outputs import check_output_folder
from samzoo.training.adapter import CONFIG_FILE as ADAPTER_CONFIG_FILE
from samzoo.training.adapter import (
    AdapterConfig,
    base_folder,
    check_base,
    is_adapter,
    read_adapter_config,
)
from samzoo.training.methods import get_method
from samzoo.training.methods.layers import PREFIX, linear_layers

from .export import (
    PackageFile,
    Precision,
    check_precision,
    license_of,
    package_name,
    software_versions,
    write_package,
)
from .factor_files import encoder_factors, write_factors
from .merge import input_folders, merged
from .merged_weights import DEFAULT_QLORA_BASE, QloraBase
from .onnx_export import export_graphs

SHAREABLE = ("lora", "late_lora", "qlora", "late_qlora")
"""Methods whose change of the encoder is a product of two factors a layer."""


def export_shared(
    adapters: Mapping[str, Path],
    output: Path,
    *,
    base: Path | None = None,
    qlora_base: QloraBase = DEFAULT_QLORA_BASE,
    precision: Precision = "fp32",
    name: str | None = None,
    segments: str = "",
    force: bool = False,
) -> Manifest:
    """Write a package with a shared encoder.

    Args:
        adapters: Adapter folders by the names that ``Model.use`` takes; the first is the default.
        output: The package folder to write.
        base: The base of all of them; where the first one's lay while training by default.
        qlora_base: What the encoder holds under QLoRA adapters: the ``dequantized`` weights they
            were trained on, or the ``original`` ones, an approximation that they can share with
            LoRA adapters.
        precision: How the graphs store weights; the factors are float32 always.
        name: The package's name; made from the output folder's name by default.
        segments: What the models segment, in a few words.
        force: Replace an existing ``output``.

    Returns:
        The manifest.

    Raises:
        NotFoundError: A folder holds no adapter, or a file is missing.
        WrongBaseError: The base is not the one an adapter was trained on.
        FormatError: A file is damaged, or an adapter does not fit the encoder.
        InputError: No adapter, one of a method that cannot share an encoder, or adapters that need
            encoders with different weights.
        OutputExistsError: ``output`` exists and ``force`` is false.
        MissingDependencyError: torch or onnx is not installed.
        StorageError: The disk is full or the folder cannot be written.
    """
    check_precision(precision)
    if not adapters:
        raise InputError("a shared encoder needs at least one adapter; name its folder")
    configs = {adapter: _read_config(path, adapter) for adapter, path in adapters.items()}
    quantization = _shared_quantization(configs, adapters, qlora_base)
    folder = base_folder(*_first(configs, adapters), base)
    inputs = [path for source in adapters.values() for path in input_folders(source, folder)]
    check_output_folder(output, force=force, inputs=inputs)
    require("torch", extra="export")
    require("onnx", extra="export")

    base_config, tensors = read_model_folder(folder)
    for adapter, config in configs.items():
        check_base(config, adapters[adapter], folder, base_config.weights_digest)
    shared = _shared_config(base_config, next(iter(configs.values())).preprocessing, quantization)
    manifest = Manifest(  # refuses bad names and differences in preprocessing before the work
        name=name or package_name(output),
        segments=segments,
        license=license_of({"base": base_config.source}),
        model=shared,
        files=(),
        precision=precision,
        software=software_versions(),
        adapters=tuple(
            AdapterEntry(name=adapter, model=_unmerged(config), license=license_of(config.source))
            for adapter, config in configs.items()
        ),
    )
    content: dict[str, PackageFile] = {}
    entries = []
    for entry in manifest.adapters:
        model, graphs = _decoders(adapters[entry.name], folder, qlora_base, precision, entry.name)
        entries.append(dataclasses.replace(entry, model=model))
        factors = encoder_factors(adapters[entry.name], shared.architecture.image_encoder)
        place = f"adapters/{entry.name}"
        content[f"{place}/lora.onnx_adapter"] = PackageFile(
            write_factors(factors), FACTORS, entry.name
        )
        for role, graph in graphs.items():
            content[f"{place}/{role}.onnx"] = PackageFile(graph, role, entry.name)
    encoder = _encoder(shared, tensors, configs, quantization, precision, where=str(folder))
    content[f"onnx/{ENCODER}.onnx"] = PackageFile(encoder, ENCODER)
    manifest = dataclasses.replace(manifest, adapters=tuple(entries))
    return write_package(output, manifest, content, force=force)


def _first(
    configs: Mapping[str, AdapterConfig], adapters: Mapping[str, Path]
) -> tuple[AdapterConfig, Path]:
    name = next(iter(configs))
    return configs[name], adapters[name]


def _read_config(folder: Path, name: str) -> AdapterConfig:
    check_name(name, f"{folder}: the adapter's name")
    if not is_adapter(folder):
        raise InputError(
            f"{folder}: holds no {ADAPTER_CONFIG_FILE}; a shared encoder takes adapters only, "
            "export a model on its own"
        )
    config = read_adapter_config(folder / ADAPTER_CONFIG_FILE)
    get_method(config.method)
    if config.method not in SHAREABLE:
        raise InputError(
            f"{folder}: method: found {config.method!r}, which changes more of the encoder than "
            f"LoRA factors; allowed under a shared encoder are {', '.join(SHAREABLE)}. Give it a "
            f"package of its own: samzoo export {folder} -o PACKAGE"
        )
    return config


def _shared_quantization(
    configs: Mapping[str, AdapterConfig], adapters: Mapping[str, Path], qlora_base: QloraBase
) -> str | None:
    """The rounding of the encoder's weights under all adapters, or None.

    QLoRA's factors were trained on rounded weights, LoRA's on the base's own: over the other
    weights each gives another model.
    """
    needed = {
        name: str(config.hyperparameters.get("quantization"))
        if get_method(config.method).trained_base is not None and qlora_base == "dequantized"
        else None
        for name, config in configs.items()
    }
    first, *others = needed
    for other in others:
        if needed[other] != needed[first]:
            raise InputError(
                f"{adapters[other]}: needs an encoder with {_weights(needed[other])}, "
                f"{adapters[first]} one with {_weights(needed[first])}; export them into two "
                "packages, or pass --qlora-base original, with which QLoRA's factors are added to "
                "weights that they were not trained on"
            )
    return needed[first]


def _weights(quantization: str | None) -> str:
    return (
        "the base's own weights" if quantization is None else f"weights rounded to {quantization}"
    )


def _shared_config(
    base: ModelConfig, preprocessing: Preprocessing, quantization: str | None
) -> ModelConfig:
    """The base's config, with what the encoder graph holds of the adapters' preprocessing."""
    in_graph: dict[str, Any] = {field: getattr(preprocessing, field) for field in GRAPH_FIELDS}
    source = dict(base.source)
    if quantization is not None:
        source["encoder_rounded_to"] = quantization
    return dataclasses.replace(
        base, preprocessing=dataclasses.replace(base.preprocessing, **in_graph), source=source
    )


def _unmerged(config: AdapterConfig) -> ModelConfig:
    return ModelConfig(
        architecture=config.architecture, preprocessing=config.preprocessing, ais=config.ais
    )


def _decoders(
    adapter: Path, base: Path, qlora_base: QloraBase, precision: str, name: str
) -> tuple[ModelConfig, dict[str, bytes]]:
    """The merged model's config and the graphs of its decoders.

    Merging checks every tensor against the base, and gives the digest of the whole model, so that
    embeddings belong to it and to the same model in a package of its own.
    """
    from samzoo.training.sam import Sam, load_weights

    config, tensors = merged(adapter, base=base, qlora_base=qlora_base)
    sam = Sam(config)
    load_weights(sam, tensors, where=str(adapter))
    roles = (MASK_DECODER, AIS_DECODER)
    metadata = {"samzoo.name": name, "samzoo.weights_digest": config.weights_digest}
    return config, export_graphs(sam.eval(), precision=precision, metadata=metadata, roles=roles)


def _encoder(
    config: ModelConfig,
    tensors: Tensors,
    adapters: Mapping[str, AdapterConfig],
    quantization: str | None,
    precision: str,
    *,
    where: str,
) -> bytes:
    from samzoo.training.sam import Sam, load_weights

    if quantization is not None:
        adapter = next(iter(adapters.values()))
        method = get_method(adapter.method)
        settings = method.hyperparameters(adapter.hyperparameters)
        assert method.trained_base is not None
        for tensor in [tensor for tensor in tensors if tensor.startswith(PREFIX)]:
            value = tensors[tensor]
            value = value.astype(np.float32) if value.dtype == np.float16 else value
            tensors[tensor] = method.trained_base(tensor, value, settings)
    sam = Sam(config)
    load_weights(sam, tensors, where=where)
    layers = linear_layers(
        config.architecture.image_encoder, ["q", "k", "v", "proj", "mlp"], blocks=None
    )
    graphs = export_graphs(
        sam.eval(),
        precision=precision,
        metadata={"samzoo.weights_digest": config.weights_digest},
        roles=[ENCODER],
        factor_layers=[layer for layer, _ in layers],
    )
    return graphs[ENCODER]
