"""Storage of a graph's weights in fewer bytes than it computes with.

In: an ONNX model in float32. Out: the same model, changed in place: large weights as float16, or as
8-bit integers with one scale for each channel. Plain operators bring them back to float32. A
runtime folds these operators when it loads the graph, so the arithmetic and its speed stay the
same. Needs the package onnx.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_HALF = 65504.0
"""Largest float16; a tensor with larger values stays float32."""

MIN_BYTES = 4096
"""Smaller tensors stay float32: they are biases and norms (own choice)."""

LEVELS = 127
"""Largest 8-bit integer used; the range is symmetric around zero."""

OUTPUT_AXIS = {"Conv": 0, "ConvTranspose": 1, "MatMul": -1}
"""Axis of a weight that counts output channels; Gemm's depends on its ``transB``."""


def store_as_half(model: Any) -> None:
    """Store large float32 weights as float16; the graph casts them back.

    Args:
        model: An ``onnx.ModelProto``.
    """
    from onnx import helper, numpy_helper
    from onnx.onnx_pb import TensorProto

    casts = []
    for tensor in _large(model):
        name, value = tensor.name, numpy_helper.to_array(tensor)
        if np.abs(value).max() > MAX_HALF:
            continue
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_fp16"))
        casts.append(helper.make_node("Cast", [f"{name}_fp16"], [name], to=TensorProto.FLOAT))
    _insert_first(model, casts)


def store_as_int8(model: Any) -> None:
    """Store large weights of convolutions and linear layers as integers in -127 to 127.

    Each output channel has its own scale: its largest absolute value over 127. The largest error
    of a weight is half a scale. Other tensors stay as they are.

    Args:
        model: An ``onnx.ModelProto``.
    """
    from onnx import helper, numpy_helper
    from onnx.onnx_pb import TensorProto

    axes = _output_axes(model)
    nodes, scales = [], []
    for tensor in _large(model):
        if tensor.name not in axes:
            continue
        name, value = tensor.name, numpy_helper.to_array(tensor)
        rounded, scale = round_to_int8(value, axes[name])
        tensor.CopyFrom(numpy_helper.from_array(rounded, f"{name}_int8"))
        scales.append(numpy_helper.from_array(scale, f"{name}_scale"))
        nodes += [
            helper.make_node("Cast", [f"{name}_int8"], [f"{name}_levels"], to=TensorProto.FLOAT),
            helper.make_node("Mul", [f"{name}_levels", f"{name}_scale"], [name]),
        ]
    model.graph.initializer.extend(scales)
    _insert_first(model, nodes)


def round_to_int8(
    value: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round an array to 8 bits, one scale for each index along an axis.

    Args:
        value: Any shape.
        axis: The axis of the channels.

    Returns:
        Levels of the same shape in -127 to 127, and scales that broadcast against them: their
        product is off by at most half a scale.
    """
    axis %= value.ndim
    others = tuple(i for i in range(value.ndim) if i != axis)
    largest = np.abs(value).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / LEVELS, 1).astype(np.float32)
    return np.rint(value / scale).astype(np.int8), scale


def _output_axes(model: Any) -> dict[str, int]:
    """Return each weight's axis, except of weights that two kinds of layers use differently."""
    axes: dict[str, int] = {}
    clashes = set()
    for node in model.graph.node:
        if node.op_type == "Gemm":
            axis = 0 if any(a.name == "transB" and a.i for a in node.attribute) else 1
        elif node.op_type in OUTPUT_AXIS:
            axis = OUTPUT_AXIS[node.op_type]
        else:
            continue
        if axes.setdefault(node.input[1], axis) != axis:
            clashes.add(node.input[1])
    return {name: axis for name, axis in axes.items() if name not in clashes}


def _large(model: Any) -> list[Any]:
    from onnx.onnx_pb import TensorProto

    return [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT and len(tensor.raw_data) >= MIN_BYTES
    ]


def _insert_first(model: Any, nodes: list[Any]) -> None:
    for index, node in enumerate(nodes):
        model.graph.node.insert(index, node)
