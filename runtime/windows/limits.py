"""The exact intensity limits of an image that does not fit into memory.

In: windows of an image, and the model's preprocessing. Out: the low and high between which
``to_0_255`` stretches.

Radix selection finds order statistics. It maps values to unsigned integers in the same order. Each
pass over the image finds 16 more bits: it counts them among the values whose leading bits are
known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Progress
from samzoo.runtime.formats.config import Preprocessing

from .source import ImageSource

DIGIT = 16
"""Number of bits that one pass finds."""


@dataclass(frozen=True)
class Limits:
    """The intensity limits of a whole image.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 255.
        constant: True if all values are equal, so that there is nothing to segment.
    """

    low: float
    high: float
    constant: bool


def image_limits(
    source: ImageSource, preprocessing: Preprocessing, progress: Progress | None = None
) -> Limits:
    """Find the limits between which an image's intensities are stretched.

    Args:
        source: The image.
        preprocessing: The model's preprocessing.
        progress: Called with ("look", pixels done, pixels in all).

    Returns:
        The limits, equal to those that ``to_0_255`` finds in the whole image.

    Raises:
        ImageError: A value is NaN or infinite, or the file is damaged.
    """
    total = source.size[0] * source.size[1]

    def windows() -> Iterator[Array]:
        done = 0
        for _, _, window in source.windows():
            yield window
            done += window.shape[0] * window.shape[1]
            if progress is not None:
                progress("look", done, total)

    low, high, count = _extremes(windows())
    constant = bool(low == high)
    if preprocessing.intensity != "percentile" or constant:
        return Limits(float(low), float(high), constant)
    ranks = [q / 100 * (count - 1) for q in preprocessing.percentiles]
    wanted = sorted({int(f(rank)) for rank in ranks for f in (math.floor, math.ceil)})
    values = order_statistics(windows, source.dtype, wanted)
    found = [_between(values[math.floor(rank)], values[math.ceil(rank)], rank) for rank in ranks]
    return Limits(found[0], found[1], constant)


def _extremes(windows: Iterable[Array]) -> tuple[Any, Any, int]:
    low = high = None
    count = 0
    for window in windows:
        smallest, largest = window.min(), window.max()
        low = smallest if low is None else min(low, smallest)
        high = largest if high is None else max(high, largest)
        count += window.size
    return low, high, count


def _between(below: float, above: float, rank: float) -> float:
    """Interpolate linearly as NumPy does, from the nearer of the two."""
    part = rank - math.floor(rank)
    step = above - below
    return above - step * (1 - part) if part >= 0.5 else below + step * part


def order_statistics(
    windows: Callable[[], Iterable[Array]], dtype: np.dtype[Any], ranks: list[int]
) -> dict[int, float]:
    """Find the values at some ranks of the sorted values.

    Args:
        windows: Returns windows with all values, at each call.
        dtype: The values' dtype: integers, float32 or float64, without NaN.
        ranks: Ranks, from 0.

    Returns:
        Values by rank.
    """
    bits = dtype.itemsize * 8
    prefixes = dict.fromkeys(ranks, 0)
    inside = {rank: rank for rank in ranks}
    for shift in range(bits - min(DIGIT, bits), -1, -DIGIT):
        width = min(DIGIT, bits)
        counts = {prefix: np.zeros(2**width, np.int64) for prefix in prefixes.values()}
        for window in windows():
            keys = _ordered(window.ravel())
            for prefix, count in counts.items():
                chosen = keys
                if shift + width < bits:
                    chosen = keys[keys >> np.uint64(shift + width) == prefix]
                digits = (chosen >> np.uint64(shift)) & np.uint64(2**width - 1)
                count += np.bincount(digits.astype(np.intp), minlength=2**width)
        for rank in ranks:
            total = np.cumsum(counts[prefixes[rank]])
            digit = int(np.searchsorted(total, inside[rank], side="right"))
            inside[rank] -= int(total[digit - 1]) if digit else 0
            prefixes[rank] = (prefixes[rank] << width) | digit
    return {rank: _value(prefixes[rank], dtype) for rank in ranks}


def _ordered(values: Array) -> NDArray[np.uint64]:
    """Map values to unsigned integers in the same order."""
    bits = values.dtype.itemsize * 8
    raw = values.view(f"u{values.dtype.itemsize}").astype(np.uint64)
    top = np.uint64(1 << (bits - 1))
    if values.dtype.kind == "u":
        return raw
    if values.dtype.kind == "i":
        return raw ^ top
    everything = np.uint64((1 << bits) - 1)
    return np.where(raw & top, raw ^ everything, raw | top)


def _value(key: int, dtype: np.dtype[Any]) -> float:
    """Invert ``_ordered`` for one value."""
    bits = dtype.itemsize * 8
    top = 1 << (bits - 1)
    if dtype.kind == "i":
        key ^= top
    elif dtype.kind == "f":
        key = key ^ top if key & top else key ^ ((1 << bits) - 1)
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
