"""Images that are read window by window.

In: an array, or a file of any size. Out: checked windows of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.reading import check_image

Window = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in pixels, half-open."""

STRIP = 1024
"""Side in pixels of the windows in which a whole image is read (own choice)."""


class Reader(Protocol):
    """Reads windows of one plane as they are stored; ``notes`` are messages for the user."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    notes: Sequence[str]

    def __call__(self, window: Window) -> Array:
        """Read a window, ``(height, width)`` or ``(height, width, channels)``."""

    def close(self) -> None:
        """Close the file."""


@dataclass(frozen=True)
class SourceSpec:
    """The choice of a plane in a file, with which another process can open it again.

    Attributes:
        path: A file, or an OME-Zarr folder.
        level: Level of a pyramid; 0 is full size.
        series: Number of the image in a file with several.
        channel: Number of the channel; None if there is only one, or RGB.
        plane: Index along the axes before height and width, flattened.
    """

    path: str
    level: int = 0
    series: int = 0
    channel: int | None = None
    plane: int = 0


class ImageSource:
    """One plane of an image, read in windows, which are checked as in ``check_image``.

    Args:
        reader: Reads windows.
        where: Names the image in messages.
    """

    def __init__(self, reader: Reader, where: str) -> None:
        self._reader, self.where = reader, where
        self.notes = list(reader.notes)
        probe = self._checked(np.zeros((1, 1, *reader.shape[2:]), reader.dtype))
        self.size: Size = (reader.shape[0], reader.shape[1])
        self.channels = 1 if probe.ndim == 2 else probe.shape[2]
        self.dtype: np.dtype[np.generic] = probe.dtype
        if 0 in self.size:
            raise ImageError(f"{where}: the image has no pixels (shape {reader.shape})")

    def read(self, window: Window) -> Array:
        """Read a window.

        Args:
            window: A window inside the image.

        Returns:
            ``(height, width)`` or ``(height, width, 3)`` of ``dtype``, all values finite.

        Raises:
            ImageError: The file is damaged there, or values are NaN or infinite.
        """
        found = self._checked(self._reader(window))
        expected = (window[2] - window[0], window[3] - window[1])
        if found.shape[:2] != expected:
            raise ImageError(
                f"{self.where}: window {window}: found {found.shape[:2]} pixels, expected "
                f"{expected}; the file is damaged, or changed while it was read: copy it again"
            )
        return found

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def windows(self) -> Iterator[tuple[int, int, Array]]:
        """Read the whole image once, in windows of at most ``STRIP`` rows and columns.

        Returns:
            First row, first column and pixels of each window.
        """
        height, width = self.size
        for y in range(0, height, STRIP):
            for x in range(0, width, STRIP):
                yield y, x, self.read((y, x, min(y + STRIP, height), min(x + STRIP, width)))

    def _checked(self, window: Array) -> Array:
        return check_image(window, where=self.where)


class ArrayReader:
    """Reads windows of an array in memory or of a mapped file; see ``Reader``."""

    notes: Sequence[str] = ()

    def __init__(self, array: Array) -> None:
        """Take ``(height, width)`` or ``(height, width, channels)``."""
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[np.generic] = array.dtype

    def close(self) -> None:
        """See ``Reader``."""

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        y0, x0, y1, x1 = window
        return np.asarray(self._array[y0:y1, x0:x1])


def identity(path: str | Path) -> str:
    """Return a file's size and time of change, by which a later change shows.

    Raises:
        NotFoundError: The file does not exist.
    """
    path = Path(path)
    try:
        if path.is_dir():  # a Zarr's description stands for it: chunks may be many
            files = sorted(p for p in path.glob("*") if p.is_file())
            return ";".join(f"{p.name}:{_state(p)}" for p in files)
        return _state(path)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None


def _state(path: Path) -> str:
    status = os.stat(path)
    return f"{status.st_size}:{status.st_mtime_ns}"
