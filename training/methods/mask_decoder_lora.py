"""LoRA on the mask decoder, an option of the LoRA methods beyond the paper.

With ``mask_decoder_rank`` above 0, every linear layer of the mask decoder (attention, MLPs,
hypernetworks, IoU head) keeps its weight and trains a pair of factors, ``W <- W + scale * B A``;
biases, norms, tokens and the two small convolutions train as with every method. An adapter stores
the mask decoder as plain weights with the products folded in, so that readers of adapters need not
know about it. What differs from the base then has that rank, and a package that shares the base's
mask decoder stores a tenth of it.

Source: CellSeg1 (Zhou et al., 2024), which adapts q and v of the attention only and freezes the
rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.prefixes import MASK_DECODER_PREFIX

from .lora import LoraSettings, add_factors

if TYPE_CHECKING:
    from torch import nn


def attach(mask_decoder: nn.Module, settings: object) -> None:
    """Give the linear layers factors, if the settings ask for them.

    Args:
        mask_decoder: A ``Sam``'s mask decoder, all of which trains.
        settings: Any method's settings; ``mask_decoder_rank`` and ``scale`` are used.
    """
    if not isinstance(settings, LoraSettings) or settings.mask_decoder_rank == 0:
        return
    shapes = {name: tuple(value.shape) for name, value in mask_decoder.named_parameters()}
    for name in [name for name, shape in shapes.items() if _is_linear(name, shape)]:
        layer = name.rpartition(".")[0]
        linear: Any = mask_decoder.get_submodule(layer)
        linear.weight.requires_grad_(False)
        rank = _rank(shapes[name], settings)
        rows = {layer.rpartition(".")[2]: np.arange(linear.out_features)}
        add_factors(linear, rows, rank=rank, scale=settings.scale)


def fold(state: Mapping[str, Any], settings: object) -> Tensors:
    """Fold the mask decoder's factors into its weights.

    Args:
        state: All tensors of a ``Sam`` in training, as arrays by name.
        settings: Any method's settings; without factors, nothing changes.

    Returns:
        The tensors without the mask decoder's factors. The sums run in float64.
    """
    folded: Tensors = {
        name: value
        for name, value in state.items()
        if not (name.startswith(MASK_DECODER_PREFIX) and ".lora_" in name)
    }
    if not isinstance(settings, LoraSettings):
        return folded
    for name in state:
        layer, found, matrix = name.partition(".lora_a.")
        if found and name.startswith(MASK_DECODER_PREFIX):
            a = np.asarray(state[name], np.float64)
            b = np.asarray(state[f"{layer}.lora_b.{matrix}"], np.float64)
            weight = np.asarray(state[f"{layer}.weight"], np.float64)
            weight = weight + settings.scale * (b @ a)
            folded[f"{layer}.weight"] = weight.astype(np.float32)
    return folded


def trainable(
    shapes: Mapping[str, tuple[int, ...]], settings: object
) -> dict[str, tuple[int, ...]]:
    """List the mask decoder's trainable tensors, with shapes.

    Args:
        shapes: Shapes of its parameters, by their names in the mask decoder.
        settings: Any method's settings.
    """
    if not isinstance(settings, LoraSettings) or settings.mask_decoder_rank == 0:
        return dict(shapes)
    chosen: dict[str, tuple[int, ...]] = {}
    for name, shape in shapes.items():
        layer = name.rpartition(".")[0]
        last = layer.rpartition(".")[2]
        if _is_linear(name, shape):
            rank = _rank(shape, settings)
            chosen[f"{layer}.lora_a.{last}"] = (rank, shape[1])
            chosen[f"{layer}.lora_b.{last}"] = (shape[0], rank)
        else:
            chosen[name] = shape
    return chosen


def _is_linear(name: str, shape: tuple[int, ...]) -> bool:
    """Tell a linear layer's weight from the embeddings of tokens, which are matrices, too."""
    layer, _, kind = name.rpartition(".")
    return kind == "weight" and len(shape) == 2 and not layer.endswith(("_token", "_tokens"))


def _rank(shape: tuple[int, ...], settings: LoraSettings) -> int:
    """Return the rank of a layer's factors; more than its smaller side would be wasted."""
    return min(settings.mask_decoder_rank, *shape)
