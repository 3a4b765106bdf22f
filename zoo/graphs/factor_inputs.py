"""LoRA factors as optional inputs of an exported encoder.

In: an encoder graph in torch, and after tracing its ONNX file. Out: both with two more inputs for
each linear layer; the defaults of these inputs are empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from samzoo.runtime.formats.lora_factors import factor_names

if TYPE_CHECKING:
    from torch import Tensor, nn

    from samzoo.training.networks.sam import Sam

EXAMPLE_RANK = 2
"""Rank of the factors while tracing; neither 0 nor 1, which tracing could take for constants."""

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of the defaults by input name: ``(in, 0)`` and ``(0, out)`` for each layer's factors."""


def with_factors(
    sam: Sam, graph: nn.Module, layers: Sequence[str]
) -> tuple[nn.Module, list[Tensor], dict[str, tuple[int, ...]]]:
    """Give an encoder graph inputs for factors.

    Args:
        sam: The model whose encoder ``graph`` uses; this changes it, so do not use it for anything
            else afterwards.
        graph: The graph from image to image embeddings.
        layers: Names of linear layers in the image encoder.

    Returns:
        The new graph, examples of its further inputs, and the shapes of their defaults by name.
    """
    import torch

    from samzoo.training.networks.weight_inputs import EncoderWithFactors

    shapes: dict[str, tuple[int, ...]] = {}
    factors = []
    for layer in layers:
        linear: Any = sam.image_encoder.get_submodule(layer)
        outputs, inputs = linear.weight.shape
        a, b = factor_names(layer)
        shapes[a], shapes[b] = (inputs, 0), (0, outputs)
        factors += [torch.randn(inputs, EXAMPLE_RANK), torch.randn(EXAMPLE_RANK, outputs)]
    return EncoderWithFactors(graph, sam.image_encoder, layers), factors, shapes


def rank_axes(defaults: Shapes) -> dict[str, dict[int, str]]:
    """Give each layer's rank its own axis name, since a late adapter lacks the first layers."""
    return {
        name: {shape.index(0): f"{name.rpartition('.')[0]}.rank"}
        for name, shape in defaults.items()
        if 0 in shape
    }


def with_defaults(graph: bytes, defaults: Shapes) -> bytes:
    """Store zeros in an ONNX file as the default of each optional input.

    Args:
        graph: The file's bytes.
        defaults: Shapes by input name; with none, the file stays as it is.
    """
    if not defaults:
        return graph
    import onnx

    model = onnx.load_from_string(graph)
    unused = sorted(set(defaults) - {value.name for value in model.graph.input})
    assert not unused, f"the graph does not compute with its inputs {unused}"
    for name, shape in defaults.items():
        zeros = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), name)
        model.graph.initializer.append(zeros)
    result: bytes = model.SerializeToString()
    return result
