"""The exact intensity limits of an image that does not fit into memory.

In: windows of an image, and the model's preprocessing. Out: the low and high between which
``to_0_255`` stretches, and where outliers begin.

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

from samzoo.runtime.formats.arrays import Array, Progress
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import Stretch, disturbing_share
from samzoo.runtime.images.outliers import (
    BorderSearch,
    Box,
    ordered,
    outliers_from,
    value_of,
)

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
        outliers: Values from here on are outliers; None if there are none.
        border: True if a border of one value was left out.
    """

    low: float
    high: float
    constant: bool
    outliers: float | None = None
    border: bool = False

    @property
    def stretch(self) -> Stretch:
        """What ``to_0_255`` takes for a window of the image."""
        return Stretch(self.low, self.high, math.inf if self.outliers is None else self.outliers)


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
    search = BorderSearch(source.size, min(corner.min() for corner in _corners(source)))
    low = high = None
    done = 0
    for y, x, window in source.windows():
        smallest, largest = window.min(), window.max()
        low = smallest if low is None else min(low, smallest)
        high = largest if high is None else max(high, largest)
        search.add(y, x, window)
        done += window.shape[0] * window.shape[1]
        if progress is not None:
            progress("look", done, total)
    assert low is not None
    assert high is not None
    constant = bool(low == high)
    if preprocessing.intensity != "percentile" or constant:
        return Limits(float(low), float(high), constant)
    box = search.box(low)
    return _percentiles(source, box, preprocessing)


def _percentiles(source: ImageSource, box: Box, preprocessing: Preprocessing) -> Limits:
    """Find the percentiles of the values in a box that are no outliers."""
    outliers = outliers_from(_values(source, box), source.dtype, disturbing_share(preprocessing))

    def windows() -> Iterator[Array]:
        for values in _values(source, box):
            yield values if outliers is None else values[values < outliers]

    count = sum(map(len, windows())) if outliers is not None else _volume(box) * source.channels
    ranks = [q / 100 * (count - 1) for q in preprocessing.percentiles]
    wanted = sorted({int(f(rank)) for rank in ranks for f in (math.floor, math.ceil)})
    values = order_statistics(windows, source.dtype, wanted)
    low, high = (
        _between(values[math.floor(rank)], values[math.ceil(rank)], rank) for rank in ranks
    )
    return Limits(low, high, False, outliers, box != (0, 0, *source.size))


def _corners(source: ImageSource) -> Iterator[Array]:
    rows, columns = source.size
    for y in {0, rows - 1}:
        for x in {0, columns - 1}:
            yield source.read((y, x, y + 1, x + 1))


def _values(source: ImageSource, box: Box) -> Iterator[Array]:
    """Yield the values of the image's windows inside a box, flat."""
    y0, x0, y1, x1 = box
    for y, x, window in source.windows():
        part = window[max(0, y0 - y) : max(0, y1 - y), max(0, x0 - x) : max(0, x1 - x)]
        if part.size:
            yield part.ravel()


def _volume(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])


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
            keys = ordered(window.ravel())
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
    return {rank: value_of(prefixes[rank], dtype) for rank in ranks}
