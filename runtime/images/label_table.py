"""A table of labelled objects: their size, place, shape and intensity, and how many others touch.

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
from samzoo.runtime.pixels.channels import COLOURS

from .label_arrays import MOST_KEPT
from .label_tags import PixelSizes, micrometres
from .object_shapes import boundary_lengths, circularity, ellipse_axes

Row = tuple[Any, ...]

_DIGITS = 8
"""Digits of what is measured: pixels may be nanometres, and intensities lie between 0 and 1."""

_MOMENTS, _BOUNDARY = 4, 6
"""Sums of shape, and the column of the last of them in a table of an image."""


class LabelTable:
    """Collects the table's values; its memory grows with the objects, not with the pixels.

    Args:
        size: (height, width) of the image, or (slices, height, width) of the volume.
        facts: Columns that have the same value in each row, such as the image's name.
        channels: Names of the channels whose intensities are measured; an empty name for the only
            one.
        sizes: Sizes of pixels by axis, with their units. Where all are known in a unit of length,
            there are columns in micrometres.

    Attributes:
        columns: Names of the columns. ``area`` counts pixels, ``voxels`` a volume's voxels; the
            box from ``z0``, ``y0``, ``x0`` is half-open; ``touching`` counts the objects that
            share a pixel's face, edge or corner with this one. Images have ``major_axis`` and
            ``minor_axis`` of the ellipse with the same moments, and ``circularity``.
            ``docs/open-results.md`` explains all.
    """

    def __init__(
        self,
        size: Sequence[int],
        *,
        facts: Mapping[str, Any] | None = None,
        channels: Sequence[str] = (),
        sizes: PixelSizes | None = None,
    ) -> None:
        self._size, self._facts = np.array(size), dict(facts or {})
        known, needed = micrometres(sizes or {}), "zyx"[-len(size) :]
        self._micrometres: tuple[float, ...] = ()
        if known.keys() >= set(needed):
            self._micrometres = tuple(known[axis] for axis in needed)
        self._channels = tuple(channels)
        axes = "zyx"[-len(size) :]
        self.columns = (
            "label",
            "area" if len(size) == 2 else "voxels",
            *(f"centroid_{axis}" for axis in axes),
            *(f"{axis}0" for axis in axes),
            *(f"{axis}1" for axis in axes),
            "touching",
            "touches_border",
            *self._shape_columns(),
            *(
                f"{what}_intensity{name and f'_{name}'}"
                for name in self._channels
                for what in ("mean", "std")
            ),
            *self._facts,
        )
        self._ids = np.zeros(1, np.int64)  # sorted; background first; a row of the sums for each
        self._done = 0
        self._last: NDArray[Any] | None = None
        # pixels, sum of each coordinate; y y, x x, y x and boundary; of each channel v and v v
        self._sums = np.zeros((1, 1 + len(size) + _MOMENTS + 2 * len(self._channels)))
        self._first = np.zeros((1, len(size)), np.int64)
        self._end = np.zeros((1, len(size)), np.int64)
        self._pairs: set[int] = set()

    def _shape_columns(self) -> tuple[str, ...]:
        volume = len(self._size) == 3
        names: tuple[str, ...] = () if volume else ("major_axis", "minor_axis", "circularity")
        if self._micrometres:
            names += ("volume_um3",) if volume else ("area_um2", "major_axis_um", "minor_axis_um")
        return names

    def add(self, labels: NDArray[Any], image: NDArray[Any] | None = None) -> None:
        """Add the next rows, or the next slices.

        Args:
            labels: ``(rows, width)`` or ``(slices, height, width)``, up to 2**31 - 1 and not
                negative; they follow those added before.
            image: The intensities there, of the same shape, with a last axis for several channels.
        """
        places = np.nonzero(labels)
        found = self._rows_of(labels[places])
        coordinates = [places[0] + self._done, *places[1:]]
        weights: list[NDArray[Any] | None] = [None, *coordinates]
        if labels.ndim == 2:
            y, x = (each.astype(np.float64) for each in coordinates)
            weights += [y * y, x * x, y * x]
            self._bound(labels)
        for column, values in enumerate(weights):
            self._sum(found, values, column)
        if self._channels:
            assert image is not None
            values = image[places].reshape(len(found), len(self._channels)).astype(np.float64)
            for channel in range(len(self._channels)):
                column = 1 + labels.ndim + _MOMENTS + 2 * channel
                self._sum(found, values[:, channel], column)
                self._sum(found, values[:, channel] ** 2, column + 1)
        for axis, values in enumerate(coordinates):
            np.minimum.at(self._first[:, axis], found, values)
            np.maximum.at(self._end[:, axis], found, values + 1)
        self._touch(labels if self._last is None else np.concatenate([self._last, labels]))
        self._last = labels[-1:].copy()
        self._done += len(labels)

    def _sum(self, rows: NDArray[np.int64], values: NDArray[Any] | None, column: int) -> None:
        self._sums[:, column] += np.bincount(rows, values, minlength=len(self._sums))

    def _bound(self, labels: NDArray[Any]) -> None:
        """Add the boundaries between the row before these and their last one."""
        above = np.zeros_like(labels[:1]) if self._last is None else self._last
        found, lengths = boundary_lengths(np.concatenate([above, labels]))
        self._sum(self._rows_of(found), lengths, _BOUNDARY)

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
        measured = self._measured().tolist()
        found: list[Row] = []
        for row, label in enumerate(self._ids.tolist()):
            if row == 0:
                continue
            count, *sums = self._sums[row, : 1 + len(self._size)].tolist()
            first, end = self._first[row], self._end[row]
            border = bool((first == 0).any() or (end == self._size).any())
            found.append((
                label, int(count), *(round(total / count, 3) for total in sums), *first.tolist(),
                *end.tolist(), int(touching[row]), int(border),
                *(float(f"{value:.{_DIGITS}g}") for value in measured[row]),
                *self._facts.values(),
            ))  # fmt: skip
        return found

    def _measured(self) -> NDArray[np.float64]:
        """Return shapes and intensities, a row for each of the sums."""
        count = np.maximum(self._sums[:, 0], 1)  # of the background's row nothing is used
        columns = self._shapes(count)
        first = 1 + len(self._size) + _MOMENTS
        for channel in range(first, self._sums.shape[1], 2):
            mean = self._sums[:, channel] / count
            variance = self._sums[:, channel + 1] / count - mean**2
            columns += [mean, np.sqrt(np.maximum(variance, 0))]
        return np.stack(columns, axis=1) if columns else np.zeros((len(count), 0))

    def _shapes(self, count: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Return the columns of shape, as ``_shape_columns`` names them."""
        um = self._micrometres
        if len(self._size) == 3:
            return [count * np.prod(um)] if um else []
        y, x, yy, xx, yx, boundary = (self._sums[:, column] / count for column in range(1, 7))
        boundary = boundary * count
        if self._last is not None:  # below the last row lies background
            ids, lengths = boundary_lengths(np.concatenate([self._last, self._last * 0]))
            rows = np.searchsorted(self._ids, ids)
            boundary += np.bincount(rows, lengths, minlength=len(boundary))
        moments = (yy - y * y, xx - x * x, yx - y * x)
        found = [*ellipse_axes(*moments), circularity(count, np.maximum(boundary, 1))]
        if um:
            scaled = (moments[0] * um[0] ** 2, moments[1] * um[1] ** 2, moments[2] * um[0] * um[1])
            found += [count * np.prod(um), *ellipse_axes(*scaled)]
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


def intensity_names(channels: int) -> tuple[str, ...]:
    """Return the names of an image's channels for ``LabelTable``.

    Args:
        channels: 1 for grey, 3 for RGB.
    """
    return ("",) if channels == 1 else COLOURS


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
    # A file name may hold bytes that are no text.
    write_bytes(path, text.getvalue().encode("utf-8", "backslashreplace"))
