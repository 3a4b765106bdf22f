"""QLoRA: LoRA on a network whose linear layers are rounded to 4 bits and frozen.

``W <- D(Q(W)) + scale * B A``: every linear layer of the encoder is quantized (bitsandbytes' FP4 or
NF4, see ``samzoo.runtime.formats.four_bit``), also in blocks that get no factors. The factors and
all biases stay float32; norms, convolutions and position terms do not change. Layers are quantized
before factors are added; otherwise the factors would be quantized too.

Source: Dettmers et al., QLoRA (2023); Teuber et al., PEFT-SAM (MIDL 2025), section 2, and its
released code, which uses bitsandbytes' defaults: FP4, blocks of 64, double quantization.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.families.table import FAMILIES
from samzoo.runtime.formats.four_bit import Quantization, dequantize, quantize
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

from . import lora
from .blocks import LATE

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class QloraSettings(lora.LoraSettings):
    """The settings of LoRA over 4-bit weights.

    Attributes:
        quantization: ``fp4`` or ``nf4``. Default: bitsandbytes'.
    """

    quantization: Quantization = "fp4"


DEFAULTS = QloraSettings()
LATE_DEFAULTS = QloraSettings(matrices=lora.LATE_DEFAULTS.matrices, blocks=LATE)

_LINEAR = tuple(
    f".{family.layers[key]}.weight"
    for family in FAMILIES
    for key in ("qkv", "proj", "lin1", "lin2")
)
"""Ends of the names of all weights of ``nn.Linear`` layers in an encoder. ``patch_embed.proj`` is
a convolution."""


def attach(encoder: nn.Module, architecture: Architecture, settings: QloraSettings) -> None:
    """Quantize the encoder's linear layers, then give the chosen ones trainable A and B.

    Raises:
        MissingDependencyError: bitsandbytes is not installed.
    """
    from .four_bit_layers import quantize_linears

    quantize_linears(encoder, settings.quantization)
    lora.attach(encoder, architecture, settings)


def quantization(settings: QloraSettings) -> Quantization:
    """Return how the encoder's linear layers are rounded."""
    return settings.quantization


def trained_base(name: str, weight: NDArray[Any], settings: QloraSettings) -> NDArray[Any]:
    """Return an encoder weight as the network used it in training.

    Args:
        name: The weight's full SAM name.
        weight: The base's weight, float32.
        settings: The method's settings; ``quantization`` is used.

    Returns:
        The weight rounded to 4 bits and back if it is quantized, else ``weight``.
    """
    if not (name.startswith(ENCODER_PREFIX) and name.endswith(_LINEAR)):
        return weight
    return dequantize(quantize(weight, settings.quantization))
