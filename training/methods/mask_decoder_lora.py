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

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array, Float2D, Tensors
from samzoo.runtime.formats.prefixes import MASK_DECODER_PREFIX

from .lora import LoraSettings, add_factors
from .low_rank import low_rank_factors, numerical_rank, rounding_norm

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


def unfold(
    weight: Array, base: Array, fresh: Array, *, scale: float, where: str
) -> tuple[Float2D, Float2D]:
    """Find the factors of a layer again, of which an adapter holds the sum alone.

    Args:
        weight: ``(out, in)``, with the product of the factors folded in.
        base: ``(out, in)``, without.
        fresh: A of new factors, ``(rank, in)``.
        scale: Factor on the product.
        where: Names the weight in messages.

    Returns:
        A ``(rank, in)`` and B ``(out, rank)``, float32, balanced. Where the weight did not change
        in as many directions, the rest is A of the new factors and a B of 0, as in a new run: with
        an A of 0 these would never learn.

    Raises:
        InputError: No factors of that rank give this weight, to the rounding of its precision.
    """
    delta = weight.astype(np.float64) - base.astype(np.float64)
    noise = rounding_norm(weight)
    rank, found = len(fresh), numerical_rank(delta, noise=noise)
    # A scale of 0 has factors that never learned.
    a, b = (f.astype(np.float32) for f in low_rank_factors(delta / (scale or 1), rank))
    a[found:], b[:, found:] = fresh[found:], 0
    rest = np.abs(scale * (b.astype(np.float64) @ a) - delta).max(initial=0)
    # What is left out is at most the noise, and so is what was rounded.
    if found > rank or rest > 2 * noise:
        raise InputError(
            f"{where}: differs from the base's by a matrix of rank {found}, of which factors of "
            f"rank {rank} leave {rest:.2g}; the adapter was trained in another way, or changed "
            "later. Start from one that this method trained, or from none"
        )
    return a, b


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
