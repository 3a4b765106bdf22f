"""Readers: one plane of an image file, read window by window.

In: the readers of each format. Out: the interface that they share, and readers that pick a colour
or turn the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from samzoo.runtime.formats.arrays import Array

from .channels import COLOURS
from .orientation import UPRIGHT, swaps_axes, turned, window_before

Window = tuple[int, int, int, int]
"""(y0, x0, y1, x1) in pixels, half-open."""


class Reader(Protocol):
    """Reads windows of one plane.

    Attributes:
        shape: ``(height, width)`` or ``(height, width, 3)``.
        dtype: Type of the values.
        notes: Sentences for the user about what was read.
        stack_shape: Lengths of the axes that count planes, then height and width.
        channels: Names of the file's channels; empty for plain grey and RGB.
        orientation: How the picture must be turned, see ``orientation.py``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    notes: Sequence[str]
    stack_shape: tuple[int, ...]
    channels: Sequence[str]
    orientation: int

    def __call__(self, window: Window) -> Array:
        """Read a window, ``(height, width)`` or ``(height, width, channels)``."""

    def close(self) -> None:
        """Close the file."""


class ArrayReader:
    """Reads windows of an array in memory or of a mapped file; see ``Reader``."""

    def __init__(
        self,
        array: Array,
        *,
        notes: Sequence[str] = (),
        planes: tuple[int, ...] = (),
        orientation: int = UPRIGHT,
    ) -> None:
        """Take ``(height, width)`` or ``(height, width, channels)``."""
        self._array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype[np.generic] = array.dtype
        self.notes: Sequence[str] = notes
        self.stack_shape: tuple[int, ...] = (*planes, *array.shape[:2])
        self.channels: Sequence[str] = ()
        self.orientation = orientation

    def close(self) -> None:
        """See ``Reader``."""

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        y0, x0, y1, x1 = window
        return np.asarray(self._array[y0:y1, x0:x1])


class ColourReader:
    """Reads one colour of an RGB picture; see ``Reader``."""

    def __init__(self, reader: Reader, colour: int) -> None:
        """Take the reader of all colours, and the number of the one to read."""
        self._reader, self._colour = reader, colour
        self.shape: tuple[int, ...] = reader.shape[:2]
        self.dtype: np.dtype[np.generic] = reader.dtype
        self.notes: Sequence[str] = reader.notes
        self.stack_shape, self.orientation = reader.stack_shape, reader.orientation
        self.channels: Sequence[str] = COLOURS

    def close(self) -> None:
        """See ``Reader``."""
        self._reader.close()

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        return self._reader(window)[..., self._colour]


class TurnedReader:
    """Reads a picture as its orientation says that it is to be seen; see ``Reader``."""

    def __init__(self, reader: Reader) -> None:
        """Take the reader of the stored picture."""
        self._reader, self._stored = reader, reader.orientation
        height, width = reader.shape[:2]
        if swaps_axes(self._stored):
            height, width = width, height
        self.shape: tuple[int, ...] = (height, width, *reader.shape[2:])
        self.dtype: np.dtype[np.generic] = reader.dtype
        self.stack_shape: tuple[int, ...] = (*reader.stack_shape[:-2], height, width)
        self.channels: Sequence[str] = reader.channels
        self.orientation = UPRIGHT
        self.notes: Sequence[str] = [
            *reader.notes,
            f"the picture was turned, as its orientation {self._stored} says; labels and "
            "coordinates are those of the turned picture",
        ]

    def close(self) -> None:
        """See ``Reader``."""
        self._reader.close()

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        size = (self.shape[0], self.shape[1])
        return turned(self._reader(window_before(window, size, self._stored)), self._stored)
