"""Linear layers with frozen 4-bit weights, for QLoRA.

In: an encoder in float32. Out: the same encoder, its linear layers replaced by bitsandbytes'
``Linear4bit``. The only module that imports bitsandbytes.

The weights are rounded by ``samzoo.runtime.formats.four_bit``, not by bitsandbytes: the codes are
the same, and the merge, which needs no torch, then knows to the last bit what training computed
with.

Three things that bitsandbytes 0.50.2's own forward pass does on a CPU are avoided here:

- Processors with AVX-512 get wrong scales for weights whose row length is no multiple of the block
  of 64 (``dequantizeBlockwise4bitCpu`` counts whole blocks a row): TinyViT's 160 channels come out
  with an error of 0.26 instead of 0.12. The rows are therefore cut at the blocks.
- Processors with AVX-512 BF16 repack the weights in eval mode and compute in bfloat16; what is
  repacked gives no gradients any more, and SAM is finetuned in eval mode.
- Biases are stored again in the dtype of the first input; here they stay float32.
"""

from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samzoo.runtime.dependencies import require
from samzoo.runtime.formats.four_bit import BLOCK, LEVELS, NESTED_BLOCK, Quantization, quantize


def _import_bitsandbytes() -> ModuleType:
    """Import bitsandbytes without letting it fetch code from the internet.

    If the package ``kernels`` is installed and the processor has AVX-512 BF16, the import
    downloads and loads compiled code; otherwise it logs a warning. Neither is needed here.
    """
    loaded = sys.modules.get("bitsandbytes")
    if loaded is not None:
        return loaded
    logger = logging.getLogger("bitsandbytes.backends.cpu.ops")
    disabled, logger.disabled = logger.disabled, True
    present = sys.modules.get("kernels")
    sys.modules["kernels"] = None  # type: ignore[assignment]  # importing it fails
    try:
        return require("bitsandbytes", extra="qlora")
    finally:
        logger.disabled = disabled
        del sys.modules["kernels"]
        if present is not None:
            sys.modules["kernels"] = present


bitsandbytes = _import_bitsandbytes()


class FourBitLinear(bitsandbytes.nn.Linear4bit):  # type: ignore[misc, name-defined]
    """A frozen linear layer with a 4-bit weight; gradients pass through to its input.

    Its state dict has the packed tensors under bitsandbytes' names. It computes in autocast's
    dtype, or without autocast in its input's dtype.

    Args:
        linear: The layer in float32; its bias is shared, its weight copied.
        quantization: ``fp4`` or ``nf4``.
    """

    def __init__(self, linear: nn.Linear, quantization: Quantization) -> None:
        with torch.device("meta"):  # the weight is replaced below
            super().__init__(
                linear.in_features,
                linear.out_features,
                bias=linear.bias is not None,
                quant_type=quantization,
            )
        weight = quantize(linear.weight.detach().cpu().numpy(), quantization)
        state = {
            "quant_type": quantization,
            "absmax": torch.from_numpy(weight.absmax),
            "quant_map": torch.tensor(LEVELS[quantization]),
            "blocksize": BLOCK,
            "dtype": "float32",
            "shape": weight.shape,
            "nested_absmax": torch.from_numpy(weight.nested_absmax),
            "nested_blocksize": NESTED_BLOCK,
            "nested_quant_map": torch.from_numpy(weight.nested_levels.copy()),
            "nested_dtype": "float32",
            "nested_offset": float(weight.offset),
        }
        self.weight = bitsandbytes.nn.Params4bit.from_prequantized(
            data=torch.from_numpy(weight.packed).reshape(-1, 1),
            quantized_stats=state,
            device=linear.weight.device,
            module=self,
        )
        self.bias = linear.bias
        self.requires_grad_(False)

    def dequantized(self, dtype: torch.dtype) -> Tensor:
        """Return the weight that the layer computes with, ``(out_features, in_features)``."""
        state = self.weight.quant_state
        scales = torch.ops.bitsandbytes.dequantize_blockwise(
            state.absmax, state.state2.absmax, state.state2.code, NESTED_BLOCK, torch.float32
        )
        values = self.in_features * self.out_features
        rows = (values // BLOCK, BLOCK) if values % BLOCK == 0 else (1, values)
        weight: Tensor = torch.ops.bitsandbytes.dequantize_4bit(
            self.weight.data, scales + state.offset, BLOCK, state.quant_type, rows, dtype
        )
        return weight.view(self.out_features, self.in_features)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., in_features)`` to ``(..., out_features)``."""
        device = x.device.type
        if torch.is_autocast_enabled(device):
            x = x.to(torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):
            output: Tensor = _Product.apply(x, self)
            return output


class _Product(torch.autograd.Function):
    """``x W^T + b``, with a W that the backward pass unpacks again, so that it is not kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: FourBitLinear) -> Tensor:
        ctx.layer = layer
        bias = None if layer.bias is None else layer.bias.to(x.dtype)
        return F.linear(x, layer.dequantized(x.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return gradient @ ctx.layer.dequantized(gradient.dtype), None


def quantize_linears(encoder: nn.Module, quantization: Quantization) -> None:
    """Replace all linear layers of an encoder by frozen 4-bit ones, in place.

    Args:
        encoder: A ViT or TinyViT in float32, to which no method has added anything yet.
        quantization: ``fp4`` or ``nf4``.
    """
    for name, layer in list(encoder.named_modules()):
        if type(layer) is nn.Linear:
            parent, _, last = name.rpartition(".")
            setattr(encoder.get_submodule(parent), last, FourBitLinear(layer, quantization))
