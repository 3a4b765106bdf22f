"""QLoRA: LoRA on a network whose linear layers are rounded to 4 bits and frozen.

``W <- D(Q(W)) + scale * B A``: every linear layer of the encoder is quantized (bitsandbytes' FP4 or
NF4, see ``samzoo.runtime.formats.four_bit``), also in blocks that get no factors. The factors and
all biases stay float32; norms, convolutions and position terms are not touched. Order matters:
what is quantized after the factors are there would quantize them too.

Source: Dettmers et al., QLoRA (2023); Teuber et al., PEFT-SAM (MIDL 2025), section 2, and its
released code, which uses bitsandbytes' defaults: FP4, blocks of 64, double quantization.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.config import Architecture
from samzoo.runtime.formats.four_bit import QUANTIZATIONS, dequantize, quantize

from . import lora
from .layers import PREFIX, TINY_VIT_LAYERS, VIT_LAYERS

if TYPE_CHECKING:
    from torch import nn

DEFAULTS: dict[str, Any] = {**lora.DEFAULTS, "quantization": "fp4"}
LATE_DEFAULTS: dict[str, Any] = {**lora.LATE_DEFAULTS, "quantization": "fp4"}

_LINEAR = tuple(
    f".{layers[key]}.weight"
    for layers in (VIT_LAYERS, TINY_VIT_LAYERS)
    for key in ("qkv", "proj", "lin1", "lin2")
)
"""Ends of the names of the weights that ``nn.Linear`` layers have: there are no others in an
encoder. ``patch_embed.proj`` is a convolution."""


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Check the hyperparameters.

    Raises:
        FormatError: Names the field and what is allowed.
    """
    lora.check(hyperparameters)
    found = hyperparameters["quantization"]
    if found not in QUANTIZATIONS:
        raise FormatError(
            f"qlora.quantization: allowed is {' or '.join(QUANTIZATIONS)}, found {shown(found)}"
        )


def attach(
    encoder: nn.Module, architecture: Architecture, hyperparameters: Mapping[str, Any]
) -> None:
    """Quantize the encoder's linear layers, then give the chosen ones trainable A and B.

    Raises:
        MissingDependencyError: bitsandbytes is not installed.
    """
    from .four_bit_layers import quantize_linears

    quantize_linears(encoder, hyperparameters["quantization"])
    lora.attach(encoder, architecture, hyperparameters)


def trained_base(
    name: str, weight: NDArray[Any], hyperparameters: Mapping[str, Any]
) -> NDArray[Any]:
    """Return an encoder weight as the network computed with it while training.

    Args:
        name: Full SAM name.
        weight: The base's own, float32.
        hyperparameters: ``quantization``.

    Returns:
        The weight rounded to 4 bits and back where it is quantized, else ``weight``.
    """
    if not (name.startswith(PREFIX) and name.endswith(_LINEAR)):
        return weight
    return dequantize(quantize(weight, hyperparameters["quantization"]))
