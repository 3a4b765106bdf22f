"""Windows of a TIFF of any size: series of OME-TIFF, levels of a pyramid, tiles or strips.

In: a path and a choice. Out: a ``Reader``. An uncompressed file is mapped into memory; any other is
read chunk by chunk through tifffile's Zarr store, which needs the extra ``large``.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import tifffile

from samzoo.runtime.arrays import Array
from samzoo.runtime.errors import ImageError, InputError, require, shown
from samzoo.runtime.image_files import MAX_PIXELS, decoding

from .planes import Planes
from .source import SourceSpec, Window

_AXES = {"S": "s", "C": "c", "Y": "y", "X": "x"}
_UNNAMED = "QI"


class TiffReader:
    """See ``source.Reader``.

    Args:
        spec: Which plane.

    Raises:
        ImageError: The file is damaged.
        InputError: It has no such series, level, channel or plane.
        MissingDependencyError: The file is compressed and large, and zarr is not installed.
    """

    notes: Sequence[str] = ()

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        self._band: tuple[int, int, Array] | None = None
        with ExitStack() as stack:
            with decoding(spec.path, "TIFF"):
                series = _series(spec, stack.enter_context(tifffile.TiffFile(spec.path)))
                level = series.levels[spec.level]
                axes = _axes(level.axes, level.shape)
                self.planes = Planes(tuple(level.shape), axes, spec.path)
                self.dtype: np.dtype[np.generic] = np.dtype(level.dtype)
                self.planes.check(spec)
                self.shape: tuple[int, ...] = self.planes.plane_shape(spec.channel)
                self._array: Any = self._open(series, level)
            chunks = getattr(self._array, "chunks", None)
            x = axes.index("x")
            self._wide = chunks is not None and chunks[x] >= level.shape[x]
            # An array in memory, or mapped, needs the file no longer.
            self._open_files = ExitStack() if chunks is None else stack.pop_all()

    def close(self) -> None:
        """Close the file."""
        self._open_files.close()

    def _open(self, series: Any, level: Any) -> Any:
        contiguous = level.dataoffset is not None and series.keyframe.is_memmappable
        if contiguous and self._spec.level == 0:
            offset = level.dataoffset
            dtype = self.dtype.newbyteorder(level.parent.byteorder)
            return np.memmap(self._spec.path, dtype, "r", offset, level.shape)
        if int(np.prod(level.shape)) <= MAX_PIXELS // 8:
            return level.asarray()
        zarr = require("zarr", extra="large")
        return zarr.open(series.aszarr(level=self._spec.level), mode="r")

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        with decoding(self._spec.path, "TIFF"):
            return self._banded(window) if self._wide else self._read(window)

    def _read(self, window: Window) -> Array:
        picked = np.asarray(self._array[self.planes.index(self._spec, window)])
        return self.planes.ordered(picked, self._spec)

    def _banded(self, window: Window) -> Array:
        """Strips reach from left to right: keep the last rows, for the windows beside this one."""
        y0, x0, y1, x1 = window
        if self._band is None or not self._band[0] <= y0 <= y1 <= self._band[1]:
            self._band = (y0, y1, self._read((y0, 0, y1, self.shape[1])))
        start, _, band = self._band
        return band[y0 - start : y1 - start, x0:x1]


def _axes(names: str, shape: tuple[int, ...]) -> str:
    """Letters as ``Planes`` wants them; three or four unnamed planes are colours, as elsewhere."""
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
