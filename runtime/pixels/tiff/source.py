"""Windows of a TIFF of any size, with series of OME-TIFF, levels of a pyramid, tiles or strips.

In: a ``SourceSpec``. Out: a ``Reader``. An uncompressed file is mapped into memory. A plane that is
read whole is decoded by its pages. Windows of any other are read chunk by chunk through tifffile's
Zarr store, which needs the extra ``large``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import tifffile

from samzoo.runtime.budgets import MAX_PIXELS
from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import ImageError, InputError, MissingDependencyError, shown
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.pixels.axes import Planes
from samzoo.runtime.pixels.channel_names import names_in_tiff
from samzoo.runtime.pixels.decoders import check_budget, check_plane, decoding
from samzoo.runtime.pixels.orientation import TAG, orientation_of
from samzoo.runtime.pixels.reader import Window
from samzoo.runtime.pixels.source_spec import SourceSpec

from .meaning import Meaning
from .pages import check_pages, check_segments, decode_plane, file_of

MOST_LISTED = 12
"""Images that a message lists (own choice)."""

_AXES = {"S": "s", "C": "c", "Y": "y", "X": "x"}


class TiffReader:
    """Reads windows of a TIFF; see ``reader.Reader``.

    Args:
        spec: The plane to read.
        as_labels: The file holds labels, see ``Meaning``.

    Raises:
        ImageError: The file is damaged, holds what samzoo does not read, or a choice is missing.
        InputError: The file has no such series, level, channel or plane.
        MissingDependencyError: The file is compressed and large, and zarr is not installed.
    """

    def __init__(self, spec: SourceSpec, *, as_labels: bool = False) -> None:
        self._spec = spec
        self._array: Any = None
        self._band: tuple[int, int, Array] | None = None
        self._files = ExitStack()
        notes: list[str] = []
        with decoding(spec.path, "TIFF"), tifffile.TiffFile(spec.path) as file:
            self._series = series_number(spec, file, notes)
            level = self._level(file)
            page = level.keyframe.aspage()
            self._meaning = Meaning(page, spec.path, bool(file.is_imagej), as_labels)
            axes = _axes(level, self._meaning)
            channels = level.shape[axes.index("c")] if "c" in axes else 1
            names = names_in_tiff(file, self._series, channels)
            self.planes = Planes(tuple(level.shape), axes, spec, names)
            self._stored_dtype = np.dtype(level.dtype)
            tag = file.series[self._series].keyframe.aspage().tags.get(TAG)
            self.orientation = orientation_of(None if tag is None else tag.value)
            check_plane(spec.path, *self.planes.size)
            check_segments(spec.path, level.keyframe.aspage(), mapped=_is_mapped(level))
            self._whole: Window = (0, 0, *self.planes.size)
            notes += check_pages(spec.path, level, self.planes.index(self._whole))
        self.notes: Sequence[str] = [*notes, *self._meaning.notes]
        self.dtype: np.dtype[np.generic] = self._meaning.dtype
        size = self.planes.size
        self.shape: tuple[int, ...] = (*size, 3) if self._meaning.is_colour else size
        self.stack_shape = self.planes.stack_shape
        self.channels: Sequence[str] = self.planes.channel_names if channels > 1 else names

    def close(self) -> None:
        """Close the file."""
        self._array = self._band = None
        self._files.close()

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        with decoding(self._spec.path, "TIFF"):
            if window == self._whole and self._array is None:
                return self._meaning.apply(self._read_whole())
            if self._array is None:
                self._array = self._open()
            rows = self._rows_of_strips()
            stored = self._read(window) if rows is None else self._from_band(window, rows)
            return self._meaning.apply(stored)

    def _level(self, file: tifffile.TiffFile) -> tifffile.TiffPageSeries:
        series = file.series[self._series]
        if not 0 <= self._spec.level < len(series.levels):
            raise InputError(
                f"{self._spec.path}: --level: found {self._spec.level}, the file has "
                f"{len(series.levels)}: {_sizes(series.levels)}"
            )
        if series.dtype is None:
            raise ImageError(
                f"{self._spec.path}: series {self._series} {shown(series.name)} has no pixels"
            )
        return series.levels[self._spec.level]

    def _read_whole(self) -> Array:
        check_budget(self._spec.path, *self.planes.size)
        with tifffile.TiffFile(self._spec.path) as file:
            level = self._level(file)
            index = self.planes.index(self._whole)
            if _is_mapped(level):
                return self.planes.ordered(np.array(self._map(file, level)[index]))
            return self.planes.ordered(decode_plane(self._spec.path, level, index))

    def _map(self, file: tifffile.TiffFile, level: tifffile.TiffPageSeries) -> Any:
        dtype = self._stored_dtype.newbyteorder(file.byteorder)
        return np.memmap(self._spec.path, dtype, "r", level.dataoffset or 0, level.shape)

    def _open(self) -> Any:
        with ExitStack() as stack:  # an array in memory or a mapped one needs no open file
            file = stack.enter_context(tifffile.TiffFile(self._spec.path))
            level = self._level(file)
            if _is_mapped(level):
                return self._map(file, level)
            try:
                zarr = require("zarr", extra="large")
            except MissingDependencyError:
                if int(np.prod(level.shape)) > MAX_PIXELS // 8:
                    raise
                return level.asarray()
            self._files = stack.pop_all()
            return zarr.open(file.series[self._series].aszarr(level=self._spec.level), mode="r")

    def _rows_of_strips(self) -> int | None:
        """Return the rows of a chunk that is as wide as the image; None if chunks are narrower."""
        chunks = getattr(self._array, "chunks", None)
        y, x = self.planes.axes.index("y"), self.planes.axes.index("x")
        if chunks is None or chunks[x] < self.planes.shape[x]:
            return None
        return int(chunks[y])

    def _from_band(self, window: Window, rows: int) -> Array:
        """Read a window from whole strips, and keep the last strips for the windows beside it."""
        y0, x0, y1, x1 = window
        if self._band is None or not self._band[0] <= y0 <= y1 <= self._band[1]:
            start = y0 // rows * rows
            end = min(-(-y1 // rows) * rows, self.shape[0])
            self._band = (start, end, self._read((start, 0, end, self.shape[1])))
        start, _, band = self._band
        return band[y0 - start : y1 - start, x0:x1]

    def _read(self, window: Window) -> Array:
        return self.planes.ordered(np.asarray(self._array[self.planes.index(window)]))


def series_number(spec: SourceSpec, file: tifffile.TiffFile, notes: list[str]) -> int:
    """Return the number of the image to read.

    Args:
        spec: The user's choice.
        file: The opened file.
        notes: Gets a sentence where one of several images is read without a choice: the first of a
            whole slide, which is the slide itself; and the only one that lies in this file, if the
            others lie in other files of the same OME-TIFF.

    Raises:
        ImageError: There are several images, and none is chosen.
        InputError: There is no such image.
    """
    found = file.series
    if spec.series is not None:
        if not 0 <= spec.series < len(found):
            raise InputError(
                f"{spec.path}: --series: found {spec.series}, the file has {len(found)}: 0 to "
                f"{len(found) - 1}"
            )
        return spec.series
    full = [i for i, item in enumerate(found) if not item.keyframe.is_reduced]
    if len(found) == 1 or len(full) == 1:
        return full[0] if full else 0
    own = [i for i, item in enumerate(found) if _lies_in(file, item)]
    if len(own) == 1:
        notes.append(
            f"describes {len(found)} images in several files; the one that lies in this file was "
            f"read, {shown(found[own[0]].name)}; --series chooses another"
        )
        return own[0]
    if _is_slide(file):
        notes.append(
            f"holds {len(found)} images ({_sizes(found)}); the first was read, which is the slide; "
            "--series chooses another"
        )
        return 0
    raise ImageError(
        f"{spec.path}: holds {len(found)} images; choose one with --series: {_listed(found)}"
    )


def _lies_in(file: tifffile.TiffFile, series: tifffile.TiffPageSeries) -> bool:
    first = series.pages[0]
    return first is not None and file_of(first) == file.filehandle.name


def _is_slide(file: tifffile.TiffFile) -> bool:
    names = ("svs", "ndpi", "scn", "philips", "bif", "qpi", "ventana", "avs")
    return any(getattr(file, f"is_{name}", False) for name in names)


def _sizes(items: Sequence[tifffile.TiffPageSeries]) -> str:
    return ", ".join("x".join(map(str, item.shape)) for item in items)


def _listed(items: Sequence[tifffile.TiffPageSeries]) -> str:
    """Return number, name and size of each image; only some of very many."""
    listed = [
        f"{i} {shown(item.name) + ' ' if item.name else ''}({'x'.join(map(str, item.shape))})"
        for i, item in enumerate(items)
    ]
    if len(listed) > MOST_LISTED:
        listed[MOST_LISTED - 1 : -1] = ["..."]
    return ", ".join(listed)


def _is_mapped(level: tifffile.TiffPageSeries) -> bool:
    return level.dataoffset is not None and bool(level.keyframe.is_memmappable)


def _axes(level: tifffile.TiffPageSeries, meaning: Meaning) -> str:
    """Return axes for ``Planes``; the samples of a grey pixel are channels."""
    letters = "".join(_AXES.get(name, "z") for name in level.axes)
    if "c" not in letters and meaning.has_channels:
        return letters.replace("s", "c")
    return letters
