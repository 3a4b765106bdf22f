"""The graphs of a package whose adapters share an encoder.

In: a base's weights and adapter folders. Out: ONNX files as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from samzoo.runtime.formats.adapter import AdapterConfig
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.training.methods import get_method
from samzoo.training.methods.layers import linear_layers
from samzoo.training.methods.lora import MATRICES
from samzoo.zoo.merging.folding import merged
from samzoo.zoo.merging.merged_weights import QloraBase

from .storage import store_as_half
from .tracing import export_graphs, sealed


def decoders(
    adapter: Path, base: Path, qlora_base: QloraBase, name: str
) -> tuple[ModelConfig, dict[str, bytes]]:
    """Export an adapter's decoders with float32 weights.

    This merges the adapter, which checks every tensor against the base and gives the digest of the
    whole model. Embeddings therefore fit the same model in a package of its own, too.

    Args:
        adapter: The adapter's folder.
        base: The base's folder.
        qlora_base: See ``merge``.
        name: The adapter's name.

    Returns:
        The merged model's config, and ONNX files as bytes by role.

    Raises:
        FormatError: A file is damaged, or they do not belong together.
    """
    from samzoo.training.networks.sam import Sam, load_weights

    config, tensors = merged(adapter, base=base, qlora_base=qlora_base)
    sam = Sam(config)
    load_weights(sam, tensors, where=str(adapter))
    roles = (MASK_DECODER, AIS_DECODER)
    metadata = {"samzoo.name": name, "samzoo.weights_digest": config.weights_digest}
    graphs = export_graphs(sam.eval(), precision="fp32", metadata=metadata, roles=roles)
    return config, {role: named_by_use(graph) for role, graph in graphs.items()}


def base_mask_decoder(config: ModelConfig, base: Path) -> bytes:
    """Export a base's mask decoder with float32 weights.

    Args:
        config: The base's config as a package declares it.
        base: The base's folder.

    Raises:
        FormatError: The weights do not belong to the config.
    """
    from samzoo.training.networks.sam import Sam, load_weights

    sam = Sam(config)
    load_weights(sam, read_model_folder(base)[1], where=str(base))
    metadata = {"samzoo.weights_digest": config.weights_digest}
    graphs = export_graphs(sam.eval(), precision="fp32", metadata=metadata, roles=[MASK_DECODER])
    return named_by_use(graphs[MASK_DECODER])


def named_by_use(graph: bytes) -> bytes:
    """Rename the weights that tracing numbered, so that two models' graphs have the same names.

    Tracing calls a weight that it folded ``onnx::MatMul_1547``; the number counts all that the
    process traced before. ``folded.12`` is the twelfth such weight in the order of use.

    Args:
        graph: An ONNX file.
    """
    import onnx

    model = onnx.load_from_string(graph)
    numbered = {each.name for each in model.graph.initializer if each.name.startswith("onnx::")}
    names: dict[str, str] = {}
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name in numbered:
                node.input[index] = names.setdefault(name, f"folded.{len(names) + 1}")
    for each in model.graph.initializer:
        each.name = names.get(each.name, each.name)
    return sealed(model, {each.key: each.value for each in model.metadata_props})


def stored(graph: bytes, precision: str) -> bytes:
    """Return a graph with its weights stored as a package stores them.

    Args:
        graph: An ONNX file with float32 weights.
        precision: ``fp32``, or ``fp16``; the arithmetic stays float32 either way.
    """
    import onnx

    if precision == "fp32":
        return graph
    model = onnx.load_from_string(graph)
    store_as_half(model)
    return sealed(model, {each.key: each.value for each in model.metadata_props})


def shared_encoder(
    config: ModelConfig,
    tensors: Tensors,
    adapters: Mapping[str, AdapterConfig],
    quantization: str | None,
    precision: str,
    *,
    where: str,
) -> bytes:
    """Export a base's encoder with factors as inputs for all linear layers of its blocks.

    Args:
        config: The base's config.
        tensors: The base's weights; rounded in place if ``quantization`` is given.
        adapters: Configs of the adapters that the encoder is for.
        quantization: The rounding of its weights, or None.
        precision: How the graph stores weights.
        where: The base, for messages.

    Returns:
        The ONNX file as bytes.

    Raises:
        FormatError: The weights do not belong to the config.
    """
    from samzoo.training.networks.sam import Sam, load_weights

    if quantization is not None:
        adapter = next(iter(adapters.values()))
        method = get_method(adapter.method)
        settings = method.settings(adapter.hyperparameters, where=where)
        assert method.quantized is not None
        for tensor in [tensor for tensor in tensors if tensor.startswith(ENCODER_PREFIX)]:
            value = tensors[tensor]
            value = value.astype(np.float32) if value.dtype == np.float16 else value
            tensors[tensor] = method.quantized.trained_base(tensor, value, settings)
    sam = Sam(config)
    load_weights(sam, tensors, where=where)
    layers = linear_layers(config.architecture.image_encoder, MATRICES, blocks=None)
    graphs = export_graphs(
        sam.eval(),
        precision=precision,
        metadata={"samzoo.weights_digest": config.weights_digest},
        roles=[ENCODER],
        factor_layers=[layer for layer, _ in layers],
    )
    return graphs[ENCODER]
