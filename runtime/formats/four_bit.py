"""4-bit weights: bitsandbytes' FP4 and NF4 in numpy, bit for bit.

In: a float32 weight. Out: its 4-bit form, and the float32 weight that a 4-bit layer computes with.
An adapter trained over 4-bit weights is folded into exactly these.

A weight is cut into blocks of 64 values, each divided by its largest magnitude (``absmax``) and
rounded to one of 16 levels. The magnitudes are themselves stored in 8 bits (double quantization):
their mean is subtracted, and blocks of 256 are divided by their largest magnitude and rounded to
one of 256 levels.

Source: Dettmers et al., QLoRA (2023), section 3; Dettmers et al., 8-bit optimizers (2022), for the
256 levels; the rounding is that of bitsandbytes 0.50.2's CPU kernels, found by comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, ShapeError, shown

Quantization = Literal["fp4", "nf4"]
QUANTIZATIONS: tuple[Quantization, ...] = get_args(Quantization)

BLOCK, NESTED_BLOCK = 64, 256
"""Values that share one scale, and scales that share one nested scale: bitsandbytes' defaults."""

LEVELS: dict[Quantization, tuple[float, ...]] = {
    "fp4": tuple(
        sign * value / 12 for sign in (1, -1) for value in (0, 1 / 16, 8, 12, 4, 6, 2, 3)
    ),
    "nf4": (
        -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
        -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
        0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
        0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0,
    ),
}  # fmt: skip
"""The values of the codes 0 to 15, before the block's scale. FP4 is a sign, 2 bits of exponent and
1 of mantissa, normalized to 1. Source: bitsandbytes 0.50.2, ``functional.get_4bit_type``."""

_SMALLEST = np.float32(1e-38)
"""Least divisor of a block, for blocks of zeros, as in bitsandbytes."""

_CHUNK = 2**20
"""Values handled at once, a multiple of the block; it bounds the memory for large weights."""

_GRID = 65536
"""The 8-bit kernel looks a value's code up in a table over this many steps from -1 to 1."""


@dataclass(frozen=True)
class FourBit:
    """A weight in 4 bits.

    Attributes:
        packed: Two codes a byte, the first in the high half, ``(ceil(n / 2),)`` uint8.
        absmax: Codes of the blocks' scales, ``(ceil(n / 64),)`` uint8.
        nested_absmax: Scales of these scales, ``(ceil(n / 64 / 256),)`` float32.
        nested_levels: The values of the 256 codes in ``absmax``, ``(256,)`` float32.
        offset: Mean of the scales.
        quantization: ``fp4`` or ``nf4``.
        shape: The weight's shape.
    """

    packed: NDArray[np.uint8]
    absmax: NDArray[np.uint8]
    nested_absmax: NDArray[np.float32]
    nested_levels: NDArray[np.float32]
    offset: np.float32
    quantization: Quantization
    shape: tuple[int, ...]

    @property
    def scales(self) -> NDArray[np.float32]:
        """The blocks' scales after rounding to 8 bits, ``(ceil(n / 64),)``."""
        nested = np.repeat(self.nested_absmax, NESTED_BLOCK)[: len(self.absmax)]
        return self.nested_levels[self.absmax] * nested + self.offset


def quantize(weight: NDArray[np.float32], quantization: Quantization) -> FourBit:
    """Round a weight to 4 bits with double quantization.

    Args:
        weight: Finite, any shape, not empty.
        quantization: ``fp4`` or ``nf4``.

    Returns:
        The 4-bit form. The codes equal bitsandbytes'. ``offset`` is the mean in float64, rounded
        once; bitsandbytes sums in float32, in an order that depends on the processor.

    Raises:
        FormatError: The quantization is unknown.
        ShapeError: The weight is empty.
    """
    if quantization not in QUANTIZATIONS:
        raise FormatError(
            f"quantization: found {shown(quantization)}, allowed: {', '.join(QUANTIZATIONS)}"
        )
    values = np.asarray(weight, np.float32).reshape(-1)
    if not values.size:
        raise ShapeError(f"a weight of shape {weight.shape} has no values to quantize")
    codes = np.zeros(-(-len(values) // 2) * 2, np.uint8)
    scales = np.empty(-(-len(values) // BLOCK), np.float32)
    for start in range(0, len(values), _CHUNK):
        chunk = values[start : start + _CHUNK]
        first = start // BLOCK
        codes[start : start + len(chunk)], found = _round_blocks(chunk, quantization)
        scales[first : first + len(found)] = found
    if len(values) % 2:  # bitsandbytes fills the last byte with a zero's code
        codes[-1] = _nearest(np.zeros(1, np.float32), quantization)[0]
    offset = np.float32(scales.mean(dtype=np.float64))
    absmax, nested = _round_scales(scales - offset)
    return FourBit(
        packed=(codes[::2] << 4 | codes[1::2]).astype(np.uint8, copy=False),
        absmax=absmax,
        nested_absmax=nested,
        nested_levels=dynamic_levels(),
        offset=offset,
        quantization=quantization,
        shape=weight.shape,
    )


def dequantize(weight: FourBit) -> NDArray[np.float32]:
    """Return the weight that a 4-bit layer computes with, float32, in its own shape."""
    return unpack(weight.packed, weight.scales, weight.quantization, weight.shape)


def unpack(
    packed: NDArray[np.uint8],
    scales: NDArray[np.float32],
    quantization: Quantization,
    shape: tuple[int, ...],
    *,
    block: int = BLOCK,
) -> NDArray[np.float32]:
    """Turn 4-bit codes into float32.

    Args:
        packed: Two codes a byte, ``(ceil(n / 2),)``.
        scales: One a block, ``(ceil(n / block),)``.
        quantization: Says what the codes stand for.
        shape: The result's shape, with ``n`` values.
        block: Values that share a scale; even.

    Returns:
        ``level * scale``, rounded once, in ``shape``.
    """
    levels = np.array(LEVELS[quantization], np.float32)
    bytes_ = np.arange(256)
    pairs = np.stack([levels[bytes_ >> 4], levels[bytes_ & 15]], axis=1)
    result = np.empty(2 * len(packed), np.float32)
    for start in range(0, len(packed), _CHUNK * block):
        part = slice(start, start + _CHUNK * block)
        result[2 * start : 2 * start + 2 * len(packed[part])] = pairs[packed[part]].reshape(-1)
    n = prod(shape)
    whole = n // block * block
    result[:whole].reshape(-1, block)[:] *= scales[: whole // block, None]
    if whole < n:
        result[whole:] *= scales[-1]
    return result[:n].reshape(shape)


def _round_blocks(
    values: NDArray[np.float32], quantization: Quantization
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return codes and scales of whole blocks, and of a shorter last one."""
    whole = len(values) // BLOCK * BLOCK
    blocks = values[:whole].reshape(-1, BLOCK)
    scales = np.abs(blocks).max(axis=1)
    scaled = blocks * (np.float32(1) / np.maximum(scales, _SMALLEST))[:, None]
    scaled = scaled.reshape(-1)
    rest = values[whole:]
    if rest.size:
        # As in bitsandbytes: the last block is divided, whole blocks are multiplied by the
        # reciprocal; and its scale itself is kept from zero.
        last = np.maximum(np.abs(rest).max(), _SMALLEST)
        scales = np.append(scales, last)
        scaled = np.append(scaled, rest / last)
    return _nearest(np.clip(scaled, -1, 1), quantization), scales


def _nearest(scaled: NDArray[np.float32], quantization: Quantization) -> NDArray[np.uint8]:
    """Return codes of the levels nearest to values in -1 to 1; ties go to the lower level."""
    levels = np.array(LEVELS[quantization], np.float32)
    order = np.argsort(levels, kind="stable")
    bounds = (levels[order[:-1]] + levels[order[1:]]) / np.float32(2)
    return order.astype(np.uint8)[np.searchsorted(bounds, scaled, side="left")]


def _round_scales(
    scales: NDArray[np.float32],
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Round values to 8 bits in blocks of 256; returns codes and the blocks' scales."""
    padded = np.zeros(-(-len(scales) // NESTED_BLOCK) * NESTED_BLOCK, np.float32)
    padded[: len(scales)] = scales
    blocks = padded.reshape(-1, NESTED_BLOCK)
    absmax = np.abs(blocks).max(axis=1)
    empty = absmax == 0
    scaled = blocks * (np.float32(1) / np.where(empty, np.float32(1), absmax))[:, None]
    # These are the kernel's own float32 steps, so that ties fall as they do there.
    step = (scaled + np.float32(1)) * np.float32((_GRID - 1) / 2) + np.float32(0.5)
    codes = _grid_codes()[np.clip(step, 0, _GRID - 1).astype(np.int64)]
    codes[empty] = 0
    return codes.reshape(-1)[: len(scales)], absmax


@cache
def dynamic_levels() -> NDArray[np.float32]:
    """Return the 256 levels of the 8-bit type, ascending from -0.993 to 1, float32.

    They are seven decades with 1, 2, 4 to 64 levels of either sign, and zero and one. Source:
    bitsandbytes 0.50.2, ``functional.create_dynamic_map``.
    """
    levels: list[float] = [0.0, 1.0]
    for decade in range(7):
        count = 2**decade + 1
        index = np.arange(count)
        # Like torch.linspace in float32: from both ends towards the middle, each rounded once.
        low, high = np.float64(np.float32(0.1)), np.float64(1)
        step = np.float64((np.float32(1) - np.float32(0.1)) / np.float32(count - 1))
        edges = np.where(
            index < count // 2, low + step * index, high - step * (count - 1 - index)
        ).astype(np.float32)
        middles = np.float32(10 ** (decade - 6)) * ((edges[:-1] + edges[1:]) / np.float32(2))
        levels += [*middles.tolist(), *(-middles).tolist()]
    found = np.array(sorted(levels), np.float32)
    found.flags.writeable = False  # one array for all callers
    return found


@cache
def _grid_codes() -> NDArray[np.uint8]:
    """Return each table step's code of the nearest level; ties go to the lower."""
    levels = dynamic_levels().astype(np.float64)
    grid = np.arange(_GRID) * (2 / (_GRID - 1)) - 1
    above = np.clip(np.searchsorted(levels, grid), 1, len(levels) - 1)
    nearer = levels[above] - grid < grid - levels[above - 1]
    return np.where(nearer, above, above - 1).astype(np.uint8)
