"""Where in an image there is something to see, so that a few windows show what kind it is.

In: an image that can be read in windows, or maps of windows. Out: the windows with the most to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.pixels.reader import Window

SMALLEST_CELL, MOST_CELLS = 8, 512
"""Least side of a cell in pixels, and most cells along a side (own choice)."""

WORTH = 0.25
"""Share of the best window's interest that another one must have, to be worth its time (own
choice)."""


class Pixels(Protocol):
    """An image that is read window by window; ``ImageSource`` is one."""

    @property
    def size(self) -> Size:
        """(height, width)."""

    def read(self, window: Window, /) -> Array:
        """Read a window, ``(height, width)`` or ``(height, width, 3)``."""

    def windows(self) -> Iterator[tuple[int, int, Array]]:
        """Read the whole image once: first row, first column and pixels of each window."""


class ArrayPixels:
    """An image in memory, as ``Pixels``.

    Args:
        image: Checked, ``(height, width)`` or ``(height, width, 3)``.
    """

    def __init__(self, image: Array) -> None:
        self._image = image
        self.size: Size = (image.shape[0], image.shape[1])

    def read(self, window: Window, /) -> Array:
        """See ``Pixels``."""
        y0, x0, y1, x1 = window
        return self._image[y0:y1, x0:x1]

    def windows(self) -> Iterator[tuple[int, int, Array]]:
        """See ``Pixels``."""
        yield 0, 0, self._image


class Interest:
    """Where in an image there is something to see, in cells of some pixels.

    Args:
        size: (height, width) of the image.
        cell: Side of a cell in pixels.
    """

    def __init__(self, size: Size, cell: int) -> None:
        self._size, self.cell = size, cell
        self._sums = np.zeros((-(-size[0] // cell), -(-size[1] // cell)))

    @classmethod
    def of_pixels(cls, pixels: Pixels, stretched: Callable[[Array], Array]) -> Interest:
        """Take for interesting where neighbouring cells differ: there are edges.

        Args:
            pixels: The image; it is read once.
            stretched: Brings a window to 0..255, ``(height, width, 3)``.
        """
        cell = SMALLEST_CELL
        while max(pixels.size) > MOST_CELLS * cell:
            cell *= 2
        found, area = cls(pixels.size, cell), cls(pixels.size, cell)
        for y, x, window in pixels.windows():
            values = stretched(window).mean(axis=2, dtype=np.float32)
            found._add(y, x, values)
            area._add(y, x, np.ones_like(values))
        means = found._sums / area._sums
        found._sums = np.zeros_like(means)
        for axis in (0, 1):
            steps = np.abs(np.diff(means, axis=axis))
            for side in ((0, 1), (1, 0)):  # a step counts on both sides of it
                padding = [(0, 0), (0, 0)]
                padding[axis] = side
                found._sums += np.pad(steps, padding)
        return found

    def _add(self, y: int, x: int, values: NDArray[np.float32]) -> None:
        """Add values to the cells that they lie in; ``y`` and ``x`` is the first pixel."""
        rows = (y + np.arange(values.shape[0])) // self.cell
        columns = (x + np.arange(values.shape[1])) // self.cell
        by_row = np.add.reduceat(values, np.flatnonzero(np.diff(rows, prepend=-1)), axis=0)
        sums = np.add.reduceat(by_row, np.flatnonzero(np.diff(columns, prepend=-1)), axis=1)
        height, width = sums.shape
        self._sums[rows[0] : rows[0] + height, columns[0] : columns[0] + width] += sums

    def best(self, side: Size, count: int) -> list[Window]:
        """Choose windows with the most to see; what one shows, the next need not show.

        Args:
            side: (height, width) of a window, inside the image.
            count: Most windows.

        Returns:
            At least one window, the best first; of equal ones the upper left first. There are fewer
            if the rest shows little.
        """
        left = self._sums.copy()
        chosen: list[Window] = []
        first = 0.0
        while len(chosen) < count:
            score, window = self._richest(left, side)
            if chosen and score <= WORTH * first:
                break
            first = first or score
            chosen.append(window)
            y0, x0, y1, x1 = (edge // self.cell for edge in window)
            left[y0 : y1 + 1, x0 : x1 + 1] = 0
        return chosen

    def _richest(self, interest: NDArray[np.float64], side: Size) -> tuple[float, Window]:
        """Return the window with the largest sum, from sums over all cells above and left."""
        sums = np.pad(interest.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
        ys, xs = (_starts(s, w, self.cell) for s, w in zip(self._size, side, strict=True))
        y1, x1 = (-(-(starts + w) // self.cell) for starts, w in zip((ys, xs), side, strict=True))
        rows = sums[y1] - sums[ys // self.cell]
        scores = rows[:, x1] - rows[:, xs // self.cell]
        row, column = divmod(int(scores.argmax()), len(xs))
        y, x = int(ys[row]), int(xs[column])
        return float(scores[row, column]), (y, x, y + side[0], x + side[1])


def _starts(length: int, side: int, cell: int) -> NDArray[np.int64]:
    """Return where windows may begin: at every cell, and so that one ends at the border."""
    return np.unique(np.append(np.arange(0, length - side + 1, cell), length - side))
