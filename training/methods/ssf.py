"""SSF: a learned scale and shift after the layers of a block.

``y <- scale * y + shift`` for each channel of the output of both LayerNorms, ``qkv``, ``proj`` and
both linear layers of the MLP. Folding gives ``W <- scale[:, None] * W`` and ``b <- scale * b +
shift`` (a LayerNorm's weight is scaled channel by channel).

Source: Lian et al., SSF (NeurIPS 2022); micro-sam 1.8.14, ``models/peft_sam.py``, ``SSFSurgery``.
Its scales start at N(1, 0.2) and its shifts at N(0, 0.2), so that training starts away from the
base; ``init: identity`` starts at 1 and 0. The paper's text has one more pair after the patch
embedding. The code that made its tables never adds it, so it is left out here too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.fields import check_types

from .blocks import Blocks, check_blocks, chosen_names
from .checks import SECTION, Init
from .layers import Shapes, block_layers

if TYPE_CHECKING:
    from torch import Tensor, nn

SPREAD = 0.2
"""Standard deviation of the reference's start values."""


@dataclass(frozen=True, kw_only=True)
class SsfSettings:
    """The settings of SSF.

    Attributes:
        init: ``identity`` starts at scales of 1 and shifts of 0.
        blocks: See ``blocks.py``.
    """

    init: Init = "reference"
    blocks: Blocks = None

    def __post_init__(self) -> None:
        check_types(self, where=SECTION)
        check_blocks(self.blocks)


def trainable(
    shapes: Shapes, architecture: Architecture, settings: SsfSettings
) -> dict[str, tuple[int, ...]]:
    """List scales and shifts by name with their shapes."""
    return {
        f"{name}.{kind}": (shapes[f"{name}.weight"][0],)
        for name in _layers(architecture, settings)
        for kind in ("ssf_scale", "ssf_shift")
    }


def attach(encoder: nn.Module, architecture: Architecture, settings: SsfSettings) -> None:
    """Freeze the encoder and give its layers trainable ``ssf_scale`` and ``ssf_shift``."""
    import torch
    from torch import nn

    encoder.requires_grad_(False)
    for name in _layers(architecture, settings):
        layer: Any = encoder.get_submodule(name)
        scale = torch.ones(layer.bias.shape, device=layer.bias.device)
        shift = torch.zeros_like(scale)
        if settings.init == "reference":
            nn.init.normal_(scale, 1.0, SPREAD)
            nn.init.normal_(shift, 0.0, SPREAD)
        layer.ssf_scale, layer.ssf_shift = nn.Parameter(scale), nn.Parameter(shift)
        layer.register_forward_hook(_scale_and_shift)


def _scale_and_shift(layer: Any, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    # Under autocast the layer's dtype stays, so that later layers compute as without SSF.
    result: Tensor = (output * layer.ssf_scale + layer.ssf_shift).to(output.dtype)
    return result


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    settings: SsfSettings,
) -> Tensors:
    """Scale and shift the weights of every layer.

    Args:
        base: Encoder weights by full SAM names, float32.
        delta: ``<layer>.ssf_scale`` and ``<layer>.ssf_shift``, one value for each output channel.
        architecture: Not used; channels are the same in every encoder.
        settings: Not used.

    Returns:
        The changed weights and biases, float32, by name. The arithmetic runs in float64.

    Raises:
        FormatError: A tensor is not a scale or shift, lacks its partner or its layer, or has a
            shape that does not fit.
    """
    merged: Tensors = {}
    for name in sorted(delta):
        layer, _, kind = name.rpartition(".ssf_")
        if kind not in ("scale", "shift"):
            raise FormatError(f"adapter tensor {shown(name)} is no scale or shift of a layer")
        partner = f"{layer}.ssf_{'shift' if kind == 'scale' else 'scale'}"
        for needed, tensors in (
            (partner, delta), (f"{layer}.weight", base), (f"{layer}.bias", base),
        ):  # fmt: skip
            if needed not in tensors:
                raise FormatError(f"adapter tensor {shown(name)} needs {shown(needed)}, not there")
        weight, bias = base[f"{layer}.weight"], base[f"{layer}.bias"]
        if delta[name].shape != bias.shape or len(weight) != len(bias):
            raise FormatError(
                f"adapter tensor {shown(name)} has shape {delta[name].shape}, the layer has the "
                f"bias {bias.shape}"
            )
        if kind == "shift":
            continue
        scale, shift = delta[name].astype(np.float64), delta[partner].astype(np.float64)
        columns = scale.reshape(-1, *(1,) * (weight.ndim - 1))
        merged[f"{layer}.weight"] = (weight.astype(np.float64) * columns).astype(np.float32)
        merged[f"{layer}.bias"] = (bias.astype(np.float64) * scale + shift).astype(np.float32)
    return merged


def _layers(architecture: Architecture, settings: SsfSettings) -> list[str]:
    config = architecture.image_encoder
    return [
        f"{block}.{layer}"
        for block in chosen_names(config, settings.blocks)
        for layer in block_layers(config).values()
    ]
