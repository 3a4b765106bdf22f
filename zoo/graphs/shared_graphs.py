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
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.training.methods import get_method
from samzoo.training.methods.layers import linear_layers
from samzoo.training.methods.lora import MATRICES
from samzoo.zoo.merging.folding import merged
from samzoo.zoo.merging.merged_weights import QloraBase

from .tracing import export_graphs


def decoders(
    adapter: Path, base: Path, qlora_base: QloraBase, precision: str, name: str
) -> tuple[ModelConfig, dict[str, bytes]]:
    """Export an adapter's decoders.

    This merges the adapter, which checks every tensor against the base and gives the digest of the
    whole model. Embeddings therefore fit the same model in a package of its own, too.

    Args:
        adapter: The adapter's folder.
        base: The base's folder.
        qlora_base: See ``merge``.
        precision: How the graphs store weights.
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
    return config, export_graphs(sam.eval(), precision=precision, metadata=metadata, roles=roles)


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
