"""A table of labelled objects: their size, their place, and how many others each touches.

In: the labels of an image of any size, band by band, or of a volume, slice by slice. Out: a CSV
file with a row for each object.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.outputs import write_bytes

Row = tuple[float, ...]


class LabelTable:
    """Collects the table's values; its memory grows with the objects, not with the pixels.

    Args:
        size: (height, width) of the image, or (slices, height, width) of the volume.

    Attributes:
        columns: Names of the columns. ``area`` counts pixels, ``voxels`` a volume's voxels; the
            box from ``z0``, ``y0``, ``x0`` is half-open; ``touching`` counts the objects that
            share a pixel's face, edge or corner with this one.
    """

    def __init__(self, size: Sequence[int]) -> None:
        self._size = np.array(size)
        axes = "zyx"[-len(size) :]
        self.columns = (
            "label",
            "area" if len(size) == 2 else "voxels",
            *(f"centroid_{axis}" for axis in axes),
            *(f"{axis}0" for axis in axes),
            *(f"{axis}1" for axis in axes),
            "touching",
            "touches_border",
        )
        self._done = 0
        self._last: NDArray[Any] | None = None
        self._sums = np.zeros((0, 1 + len(size)))  # pixels, sum of each coordinate
        self._first = np.zeros((0, len(size)), np.int64)
        self._end = np.zeros((0, len(size)), np.int64)
        self._pairs: set[int] = set()

    def add(self, labels: NDArray[Any]) -> None:
        """Add the next rows, or the next slices.

        Args:
            labels: ``(rows, width)`` or ``(slices, height, width)``; they follow those added
                before.
        """
        self._grow(int(labels.max(initial=0)) + 1)
        places = np.nonzero(labels)
        found = labels[places]
        coordinates = [places[0] + self._done, *places[1:]]
        for column, weights in enumerate((None, *coordinates)):
            self._sums[:, column] += np.bincount(found, weights, minlength=len(self._sums))
        for axis, values in enumerate(coordinates):
            np.minimum.at(self._first[:, axis], found, values)
            np.maximum.at(self._end[:, axis], found, values + 1)
        self._touch(labels if self._last is None else np.concatenate([self._last, labels]))
        self._last = labels[-1:].copy()
        self._done += len(labels)

    def _grow(self, count: int) -> None:
        more = count - len(self._sums)
        if more > 0:
            self._sums = np.pad(self._sums, ((0, more), (0, 0)))
            far = np.iinfo(np.int64).max
            self._first = np.pad(self._first, ((0, more), (0, 0)), constant_values=far)
            self._end = np.pad(self._end, ((0, more), (0, 0)))

    def _touch(self, labels: NDArray[Any]) -> None:
        for a, b in _neighbours(labels):
            differ = (a != b) & (a > 0) & (b > 0)
            low = np.minimum(a[differ], b[differ]).astype(np.int64)
            high = np.maximum(a[differ], b[differ]).astype(np.int64)
            self._pairs.update(np.unique(low << 32 | high).tolist())

    def rows(self) -> list[Row]:
        """Return a row for each object, ordered by label, with the values of ``columns``."""
        touching = np.zeros(len(self._sums), np.int64)
        if self._pairs:
            pairs = np.array(sorted(self._pairs), np.int64)
            touching += np.bincount(pairs >> 32, minlength=len(touching))
            touching += np.bincount(pairs & (2**32 - 1), minlength=len(touching))
        found: list[Row] = []
        for label in np.flatnonzero(self._sums[:, 0]).tolist():
            count, *sums = self._sums[label].tolist()
            first, end = self._first[label], self._end[label]
            border = bool((first == 0).any() or (end == self._size).any())
            found.append((
                label, int(count), *(round(total / count, 3) for total in sums), *first.tolist(),
                *end.tolist(), int(touching[label]), int(border),
            ))  # fmt: skip
        return found

    def write(self, path: Path) -> None:
        """Write the table, complete or not at all.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        _write(path, self.columns, self.rows())


def write_tables(path: Path, tables: Sequence[LabelTable], name: str) -> None:
    """Write the tables of frames or planes as one, complete or not at all.

    Args:
        path: The CSV file.
        tables: At least one; all have the same columns.
        name: Name of the first column, which numbers the tables from 0.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    rows = [(index, *row) for index, table in enumerate(tables) for row in table.rows()]
    _write(path, (name, *tables[0].columns), rows)


def _neighbours(labels: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Yield all pairs of pixels that share a face, edge or corner, each pair once."""
    none = (0,) * labels.ndim
    for offset in product((-1, 0, 1), repeat=labels.ndim):
        if offset > none:
            here = tuple(slice(max(0, -step), -step if step > 0 else None) for step in offset)
            there = tuple(slice(max(0, step), step if step < 0 else None) for step in offset)
            yield labels[here], labels[there]


def _write(path: Path, columns: Sequence[str], rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_bytes(path, text.getvalue().encode())
