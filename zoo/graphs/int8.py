"""Rounding of an encoder graph's linear layers to 8 bits, for the precision ``int8``.

In: an ONNX model in float32. Out: the same model with integer products, for CPUs. Needs the package
onnx.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import import_onnxruntime

LINEAR = ["MatMul", "Gemm"]


def quantize_linears(model: Any) -> Any:
    """Round the weights of all linear layers, with one scale for each output channel.

    The graph rounds the layers' inputs while it runs, with one scale for each layer, so no
    calibration is needed. Products of two activations (attention), convolutions and norms stay
    float32.

    The weights use 7 of the 8 bits. CPUs without VNNI add two products in 16 bits, which would
    overflow with 8 bits; the same file must give the same result everywhere.

    Args:
        model: An ``onnx.ModelProto`` in float32, opset 17. It is not changed.

    Returns:
        A new ``onnx.ModelProto``, with operators of the default domain only.

    Source:
        onnxruntime's dynamic quantization; ``reduce_range`` is its name for the 7 bits.
    """
    import onnx

    quantization = import_onnxruntime("onnxruntime.quantization")
    with tempfile.TemporaryDirectory() as folder, _quiet_root_logger():
        path = Path(folder) / "int8.onnx"
        quantization.quantize_dynamic(
            model,
            path,
            op_types_to_quantize=LINEAR,
            per_channel=True,
            reduce_range=True,
            weight_type=quantization.QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(path)


@contextmanager
def _quiet_root_logger() -> Iterator[None]:
    """Silence onnxruntime's tool, which logs advice to the root logger and gives it a handler."""
    root, handler = logging.getLogger(), logging.NullHandler()
    disabled = root.disabled
    root.addHandler(handler)
    root.disabled = True
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.disabled = disabled
