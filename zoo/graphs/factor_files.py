"""A LoRA adapter's factors in the form that a shared encoder takes.

In: an adapter folder. Out: arrays by the encoder's input names, and the bytes of an
``.onnx_adapter`` file, onnxruntime's own format, which ``samzoo.runtime.formats.lora_factors``
reads.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.formats.adapter import read_adapter
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.lora_factors import Factors, factor_names
from samzoo.training.methods.table import factored_settings
from samzoo.zoo.exchange.fused_lora import fuse
from samzoo.zoo.exchange.lora_layers import grouped

from .storage import MAX_HALF


def encoder_factors(adapter: Path, encoder: EncoderConfig) -> Factors:
    """Bring an adapter's factors into the form that a shared encoder takes.

    Args:
        adapter: A LoRA adapter's folder, which has been checked against its base.
        encoder: The image encoder, which decides the order of the rows of ``qkv``.

    Returns:
        Factors by the name of the encoder's input: ``<layer>.lora_a (in, n * rank)`` and
        ``<layer>.lora_b (n * rank, out)``, float32, for each layer that the adapter changes. The n
        matrices of a fused ``qkv`` are side by side, and B includes the adapter's scale.
    """
    config, tensors = read_adapter(adapter)
    settings = factored_settings(config.method, config.hyperparameters, where=str(adapter))
    scale = np.float32(settings.scale)
    factors: Factors = {}
    for layer, pairs in grouped(tensors).items():
        first_b = next(iter(pairs.values()))[1]
        outputs = 3 * len(first_b) if layer.endswith("qkv") else len(first_b)
        a, b = fuse(encoder, layer, pairs, outputs)
        a_name, b_name = factor_names(layer)
        factors[a_name] = np.ascontiguousarray(a.T, dtype=np.float32)
        factors[b_name] = np.ascontiguousarray(scale * b.T, dtype=np.float32)
    return factors


def write_factors(factors: Factors, *, half: bool = False) -> bytes:
    """Return an ``.onnx_adapter`` file; the same factors give the same bytes.

    Args:
        factors: The factors, float32.
        half: Store them as float16, unless one does not fit.
    """
    onnxruntime = import_onnxruntime()
    if half and all(np.abs(value).max(initial=0) <= MAX_HALF for value in factors.values()):
        stored: dict[str, Array] = {n: v.astype(np.float16) for n, v in factors.items()}
    else:
        stored = dict(factors)
    values = {n: onnxruntime.OrtValue.ortvalue_from_numpy(stored[n]) for n in sorted(stored)}
    file = onnxruntime.AdapterFormat()
    file.set_parameters(values)
    with tempfile.TemporaryDirectory(prefix="samzoo-") as folder:
        path = Path(folder) / "factors.onnx_adapter"
        file.export_adapter(str(path))
        return path.read_bytes()
