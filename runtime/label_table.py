"""A table of the objects in a label image: size, place, and what each touches.

In: labels band by band, so that the image may be of any size. Out: a CSV file with a row an object.
Called by the ``segment`` verb (``--table``).
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import Labels2D
from .geometry import Size
from .outputs import write_bytes

COLUMNS = (
    "label", "area", "centroid_y", "centroid_x", "y0", "x0", "y1", "x1", "touching",
    "touches_border",
)  # fmt: skip
"""Pixels; the box is half-open; ``touching`` counts the objects with which an object shares an edge
or corner of a pixel."""


class LabelTable:
    """Collects what the table says, in the memory of the objects and not of the pixels.

    Args:
        size: (height, width) of the image.
    """

    def __init__(self, size: Size) -> None:
        self._size = size
        self._rows = 0
        self._last: NDArray[Any] | None = None
        self._sums = np.zeros((0, 3))  # area, sum of y, sum of x
        self._boxes = np.zeros((0, 4), np.int64)
        self._pairs: set[int] = set()

    def add(self, band: Labels2D) -> None:
        """Add the next rows.

        Args:
            band: ``(rows, width)`` labels, below those added before.
        """
        largest = int(band.max(initial=0))
        self._grow(largest + 1)
        height, width = band.shape
        flat = band.ravel()
        places = np.flatnonzero(flat)
        labels = flat[places]
        y, x = np.divmod(places, width)
        y = y + self._rows
        for column, weights in enumerate((None, y, x)):
            found = np.bincount(labels, weights=weights, minlength=len(self._sums))
            self._sums[:, column] += found
        for column, (values, ufunc) in enumerate(
            ((y, np.minimum), (x, np.minimum), (y + 1, np.maximum), (x + 1, np.maximum))
        ):
            ufunc.at(self._boxes[:, column], labels, values)
        above = band if self._last is None else np.concatenate([self._last, band])
        self._touch(above)
        self._last = band[-1:].copy()
        self._rows += height

    def _grow(self, count: int) -> None:
        more = count - len(self._sums)
        if more > 0:
            self._sums = np.concatenate([self._sums, np.zeros((more, 3))])
            far = np.iinfo(np.int64).max
            self._boxes = np.concatenate([self._boxes, np.tile([far, far, -1, -1], (more, 1))])

    def _touch(self, labels: NDArray[Any]) -> None:
        for a, b in (
            (labels[:, 1:], labels[:, :-1]), (labels[1:], labels[:-1]),
            (labels[1:, 1:], labels[:-1, :-1]), (labels[1:, :-1], labels[:-1, 1:]),
        ):  # fmt: skip
            differ = (a != b) & (a > 0) & (b > 0)
            low = np.minimum(a[differ], b[differ]).astype(np.int64)
            high = np.maximum(a[differ], b[differ]).astype(np.int64)
            self._pairs.update(np.unique(low << 32 | high).tolist())

    def rows(self) -> list[tuple[float, ...]]:
        """Return a row an object, in the order of ``COLUMNS`` and of the labels."""
        touching = np.zeros(len(self._sums), np.int64)
        if self._pairs:
            pairs = np.array(sorted(self._pairs), np.int64)
            touching += np.bincount(pairs >> 32, minlength=len(touching))
            touching += np.bincount(pairs & (2**32 - 1), minlength=len(touching))
        found: list[tuple[float, ...]] = []
        for label in np.flatnonzero(self._sums[:, 0]).tolist():
            area, sum_y, sum_x = self._sums[label]
            y0, x0, y1, x1 = self._boxes[label].tolist()
            border = y0 == 0 or x0 == 0 or y1 == self._size[0] or x1 == self._size[1]
            found.append((
                label, int(area), round(sum_y / area, 3), round(sum_x / area, 3), y0, x0, y1, x1,
                int(touching[label]), int(border),
            ))  # fmt: skip
        return found

    def write(self, path: Path) -> None:
        """Write the table, complete or not at all.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(self.rows())
        write_bytes(path, text.getvalue().encode())
