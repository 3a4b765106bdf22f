"""A table of labelled objects: their size, their place, and how many others each touches.

In: the labels of an image of any size, band by band, or of a volume, slice by slice. Out: a CSV
file with a row for each object.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.outputs import write_bytes

from .label_arrays import MOST_KEPT

Row = tuple[Any, ...]


class LabelTable:
    """Collects the table's values; its memory grows with the objects, not with the pixels.

    Args:
        size: (height, width) of the image, or (slices, height, width) of the volume.
        facts: Columns that have the same value in each row, such as the scale that was used.

    Attributes:
        columns: Names of the columns. ``area`` counts pixels, ``voxels`` a volume's voxels; the
            box from ``z0``, ``y0``, ``x0`` is half-open; ``touching`` counts the objects that
            share a pixel's face, edge or corner with this one.
    """

    def __init__(self, size: Sequence[int], *, facts: Mapping[str, Any] | None = None) -> None:
        self._size, self._facts = np.array(size), dict(facts or {})
        axes = "zyx"[-len(size) :]
        self.columns = (
            "label",
            "area" if len(size) == 2 else "voxels",
            *(f"centroid_{axis}" for axis in axes),
            *(f"{axis}0" for axis in axes),
            *(f"{axis}1" for axis in axes),
            "touching",
            "touches_border",
            *self._facts,
        )
        self._ids = np.zeros(1, np.int64)  # sorted; background first; a row of the sums for each
        self._done = 0
        self._last: NDArray[Any] | None = None
        self._sums = np.zeros((1, 1 + len(size)))  # pixels, sum of each coordinate
        self._first = np.zeros((1, len(size)), np.int64)
        self._end = np.zeros((1, len(size)), np.int64)
        self._pairs: set[int] = set()

    def add(self, labels: NDArray[Any]) -> None:
        """Add the next rows, or the next slices.

        Args:
            labels: ``(rows, width)`` or ``(slices, height, width)``, up to 2**31 - 1 and not
                negative; they follow those added before.
        """
        places = np.nonzero(labels)
        found = self._rows_of(labels[places])
        coordinates = [places[0] + self._done, *places[1:]]
        for column, weights in enumerate((None, *coordinates)):
            self._sums[:, column] += np.bincount(found, weights, minlength=len(self._sums))
        for axis, values in enumerate(coordinates):
            np.minimum.at(self._first[:, axis], found, values)
            np.maximum.at(self._end[:, axis], found, values + 1)
        self._touch(labels if self._last is None else np.concatenate([self._last, labels]))
        self._last = labels[-1:].copy()
        self._done += len(labels)

    def _rows_of(self, labels: NDArray[Any]) -> NDArray[np.int64]:
        """Return the row of each label, after new labels have got rows of their own."""
        small = int(labels.max(initial=0)) <= MOST_KEPT  # then a table by label is faster
        present = np.flatnonzero(np.bincount(labels)) if small else np.unique(labels)
        ids = np.union1d(self._ids, present)
        if len(ids) > len(self._ids):
            kept = np.searchsorted(ids, self._ids)
            self._sums = _spread(self._sums, kept, len(ids), 0)
            self._first = _spread(self._first, kept, len(ids), np.iinfo(np.int64).max)
            self._end = _spread(self._end, kept, len(ids), 0)
            self._ids = ids
        if not small:
            return np.searchsorted(self._ids, labels)
        known = self._ids[self._ids <= MOST_KEPT]
        rows = np.zeros(int(known[-1]) + 1, np.int64)
        rows[known] = np.arange(len(known))
        found: NDArray[np.int64] = rows[labels]
        return found

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
            for ids in (pairs >> 32, pairs & (2**32 - 1)):
                rows = np.searchsorted(self._ids, ids)
                touching += np.bincount(rows, minlength=len(touching))
        found: list[Row] = []
        for row, label in enumerate(self._ids.tolist()):
            if row == 0:
                continue
            count, *sums = self._sums[row].tolist()
            first, end = self._first[row], self._end[row]
            border = bool((first == 0).any() or (end == self._size).any())
            found.append((
                label, int(count), *(round(total / count, 3) for total in sums), *first.tolist(),
                *end.tolist(), int(touching[row]), int(border), *self._facts.values(),
            ))  # fmt: skip
        return found

    def measurements(self) -> dict[int, dict[str, float]]:
        """Return what was measured of each object, by its label and the column's name."""
        names = self.columns[1 : len(self.columns) - len(self._facts)]
        return {
            row[0]: dict(zip(names, map(float, row[1 : len(names) + 1]), strict=True))
            for row in self.rows()
        }

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


def _spread(rows: NDArray[Any], kept: NDArray[np.int64], count: int, fill: float) -> NDArray[Any]:
    """Move rows to other places among more, which are filled."""
    spread = np.full((count, rows.shape[1]), fill, rows.dtype)
    spread[kept] = rows
    return spread


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
