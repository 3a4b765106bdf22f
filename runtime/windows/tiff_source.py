"""Windows of a TIFF of any size, with series of OME-TIFF, levels of a pyramid, tiles or strips.

In: a ``SourceSpec``. Out: a ``Reader``. An uncompressed file is mapped into memory. Any other is
read chunk by chunk through tifffile's Zarr store, which needs the extra ``large``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import tifffile

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import ImageError, InputError, MissingDependencyError, shown
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.image_files import MAX_PIXELS, decoding

from .axes import Planes
from .source import SourceSpec, Window

_AXES = {"S": "s", "C": "c", "Y": "y", "X": "x"}
_UNNAMED = "QI"

PALETTE = 3
"""TIFF's number for the photometric interpretation of palette images."""


class TiffReader:
    """Reads windows of a TIFF; see ``source.Reader``.

    Args:
        spec: The plane to read.

    Raises:
        ImageError: The file is damaged.
        InputError: The file has no such series, level, channel or plane.
        MissingDependencyError: The file is compressed and large, and zarr is not installed.
    """

    notes: Sequence[str] = ()

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._array: Any = None
        self._band: tuple[int, int, Array] | None = None
        self._files = ExitStack()
        with decoding(spec.path, "TIFF"), tifffile.TiffFile(spec.path) as file:
            level = _series(spec, file).levels[spec.level]
            page = level.keyframe
            if page.photometric == PALETTE and page.colormap is not None:
                raise ImageError(
                    f"{spec.path}: has a palette; only palette images of up to "
                    f"{MAX_PIXELS} pixels can be read: save it as RGB or grey"
                )
            self.planes = Planes(tuple(level.shape), _axes(level.axes, level.shape), spec.path)
            self.dtype: np.dtype[np.generic] = np.dtype(level.dtype)
        self.planes.check(spec)
        self.shape: tuple[int, ...] = self.planes.plane_shape(spec.channel)

    def close(self) -> None:
        """Close the file."""
        self._array = self._band = None
        self._files.close()

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        with decoding(self._spec.path, "TIFF"):
            if self._array is None:
                self._array = self._open()
            rows = self._rows_of_strips()
            return self._read(window) if rows is None else self._from_band(window, rows)

    def _open(self) -> Any:
        with ExitStack() as stack:  # an array in memory or a mapped one needs no open file
            file = stack.enter_context(tifffile.TiffFile(self._spec.path))
            series = _series(self._spec, file)
            level = series.levels[self._spec.level]
            if level.dataoffset is not None and level.keyframe.is_memmappable:
                dtype = self.dtype.newbyteorder(file.byteorder)
                return np.memmap(self._spec.path, dtype, "r", level.dataoffset, level.shape)
            try:
                zarr = require("zarr", extra="large")
            except MissingDependencyError:
                if int(np.prod(level.shape)) > MAX_PIXELS // 8:
                    raise
                return level.asarray()
            self._files = stack.pop_all()
            return zarr.open(series.aszarr(level=self._spec.level), mode="r")

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
        picked = np.asarray(self._array[self.planes.index(self._spec, window)])
        return self.planes.ordered(picked, self._spec)


def _axes(names: str, shape: tuple[int, ...]) -> str:
    """Return axes for ``Planes``; an unnamed axis of length 3 or 4 is colours, as elsewhere."""
    others = [(name, size) for name, size in zip(names, shape, strict=True) if name not in "YX"]
    if len(others) == 1 and others[0][0] in _UNNAMED and others[0][1] in (3, 4):
        names = names.replace(others[0][0], "S")
    return "".join(_AXES.get(name, "z") for name in names)


def _series(spec: SourceSpec, file: tifffile.TiffFile) -> Any:
    found = file.series
    if not 0 <= spec.series < len(found):
        raise InputError(
            f"{spec.path}: --series: found {spec.series}, the file has {len(found)}: 0 to "
            f"{len(found) - 1}"
        )
    series = found[spec.series]
    if not 0 <= spec.level < len(series.levels):
        sizes = ", ".join("x".join(map(str, level.shape)) for level in series.levels)
        raise InputError(
            f"{spec.path}: --level: found {spec.level}, the file has {len(series.levels)}: {sizes}"
        )
    if series.dtype is None:
        raise ImageError(f"{spec.path}: series {spec.series} {shown(series.name)} has no pixels")
    return series
