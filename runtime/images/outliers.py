"""Pixels that do not belong to the picture: a border of zeros, and values far above all others.

In: an image, whole or window by window. Out: where the picture lies, and from which value on pixels
are outliers, so that the percentiles of the rest say how to stretch it. On ordinary images nothing
is left out. Hot pixels are replaced by their neighbours, which a few of them would spoil.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array

Box = tuple[int, int, int, int]
"""(y0, x0, y1, x1), half-open."""

IN_PICTURE = 0.001
"""Share of the picture that may have the border's value; more means that it is no border but a dark
background (own choice)."""

PICTURE = 0.25
"""Least share of an image with a border that is picture (own choice)."""

MOST = 0.05
"""Largest share of pixels that can be outliers (own choice; bright objects are usually more)."""

GAP = 3.0
"""Outliers lie at least this many times as far above the lowest value as everything else (own
choice: the study of disturbed images uses ten times)."""

BETWEEN = 0.05
"""Pixels between the two groups, as a share of the outliers. Objects have soft edges: their edges
alone would be more (own choice)."""

HOT = 0.01
"""Largest share of pixels that can be outliers of several values: hot pixels (own choice)."""

FLAT = 0.9
"""Least share of more outliers that have the highest value: what saturates is flat, and objects
are not (own choice)."""

OBJECTS = 4.0
"""Without its outliers the picture must still show objects on a background: its 99.9 percentile
lies this many times as far above the median as the median above the 0.1 percentile. Noise alone
has 1; images of fluorescence that were measured have 5 and more (see ``benchmarks/README.md``)."""

KEY_BITS = 16
"""Values are counted by this many leading bits."""


class BorderSearch:
    """Finds the picture inside a border of one value, window by window.

    Args:
        size: (height, width) of the image.
        value: The border's value: the lowest of the image's corners.
    """

    def __init__(self, size: tuple[int, int], value: Any) -> None:
        self._size, self._value = size, value
        self._box = (*size, 0, 0)
        self._others = 0

    def add(self, y: int, x: int, window: Array) -> None:
        """Look at a window whose first pixel lies at row ``y`` and column ``x``."""
        differs = window != self._value
        differs = differs.any(axis=2) if differs.ndim == 3 else differs
        self._others += int(np.count_nonzero(differs))
        rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
        if len(rows):
            y0, x0, y1, x1 = self._box
            self._box = (
                min(y0, y + int(rows[0])), min(x0, x + int(columns[0])),
                max(y1, y + int(rows[-1]) + 1), max(x1, x + int(columns[-1]) + 1),
            )  # fmt: skip

    def box(self, lowest: Any) -> Box:
        """Return the picture's box.

        Args:
            lowest: The image's lowest value.

        Returns:
            The whole image if there is no border, if its value is not 0 (with which images are
            filled) or not the lowest, if that value is common in the picture, too, or if the
            picture would be an object on a background.
        """
        y0, x0, y1, x1 = self._box
        area = max(0, y1 - y0) * max(0, x1 - x0)
        common = area - self._others > IN_PICTURE * area
        filled = self._value == lowest == 0
        if not filled or common or area < PICTURE * self._size[0] * self._size[1]:
            return 0, 0, *self._size
        return self._box


def whole_box(image: Array) -> Box:
    """Find the picture inside a border of one value, in a whole image.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.

    Returns:
        As ``BorderSearch.box``.
    """
    size = (image.shape[0], image.shape[1])
    search = BorderSearch(size, image[:: max(1, size[0] - 1), :: max(1, size[1] - 1)].min())
    search.add(0, 0, image)
    return search.box(image.min())


def outliers_from(parts: Iterable[Array], dtype: np.dtype[Any], share: float) -> float | None:
    """Find the value from which pixels are outliers.

    Args:
        parts: All values of the picture.
        dtype: Their dtype.
        share: Least share of outliers that would disturb the percentiles.

    Returns:
        The value, or None if there are no outliers, or too few to disturb.
    """
    bits = dtype.itemsize * 8
    drop = np.uint64(max(0, bits - KEY_BITS))
    counts = np.zeros(2 ** min(bits, KEY_BITS), np.int64)
    for part in parts:
        keys = (ordered(part) >> drop).astype(np.intp)
        counts += np.bincount(keys, minlength=len(counts))
    filled = np.flatnonzero(counts)
    lowest = np.array([value_of(int(key) << int(drop), dtype) for key in filled])
    return _start(counts[filled], lowest, share)


def _start(counts: NDArray[np.int64], values: NDArray[np.float64], share: float) -> float | None:
    """Find the first outlier among values that rise, from how often each occurs."""
    below = np.cumsum(counts)
    total = int(below[-1])

    def percentile(q: float, of: int) -> float:
        return float(values[np.searchsorted(below, q / 100 * of, side="right")])

    low = percentile(0.1, total)
    limits = low + GAP * (values - low)
    firsts = np.searchsorted(values, limits)
    far = total - np.concatenate([[0], below])[firsts]
    near = total - below
    chosen = (values > low) & (near <= MOST * total) & (near - far <= BETWEEN * far)
    chosen &= far >= max(1, share * total)
    chosen &= (far <= HOT * total) | (counts[-1] >= FLAT * far)
    if not chosen.any():
        return None
    first = int(np.argmax(chosen))
    rest = total - int(far[first])
    middle, high = percentile(50, rest), percentile(99.9, rest)
    if middle <= low or high - middle < OBJECTS * (middle - low):
        return None
    return float(limits[first])


def without_hot_pixels(image: Array, start: float) -> Array:
    """Replace outliers that stand alone by the median of themselves and their neighbours.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.
        start: From ``outliers_from``.

    Returns:
        The same image, or a copy. Outliers in a spot stay: there the median is an outlier, too.
    """
    places = np.nonzero(image >= start)
    if not len(places[0]):
        return image
    margins = ((1, 1), (1, 1), (0, 0))[: image.ndim]
    wide = np.pad(image, margins, mode="reflect" if min(image.shape[:2]) > 1 else "edge")
    rows, columns, *channel = places
    around = [wide[rows + y, columns + x, *channel] for y in range(3) for x in range(3)]
    medians = np.partition(np.stack(around), 4, axis=0)[4]
    alone = medians < start
    changed = image.copy()
    changed[tuple(axis[alone] for axis in places)] = medians[alone]
    return changed


def ordered(values: Array) -> NDArray[np.uint64]:
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


def value_of(key: int, dtype: np.dtype[Any]) -> float:
    """Invert ``ordered`` for one value."""
    bits = dtype.itemsize * 8
    top = 1 << (bits - 1)
    if dtype.kind == "i":
        key ^= top
    elif dtype.kind == "f":
        key = key ^ top if key & top else key ^ ((1 << bits) - 1)
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
