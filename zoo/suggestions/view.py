"""The part of an image on which models are tried: the whole, or of a large one a typical crop.

In: the choice of a plane in a file. Out: its pixels, and where they lie.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.pixels.reader import Window
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.opening import open_full_channels
from samzoo.runtime.windows.source import ImageSource

SIDE = 1024
"""Longest side in pixels of what models are tried on (own choice: some seconds a model, and most
camera images whole)."""

PLACES = 6
"""Most places of a crop along a side that are compared (own choice)."""

LOOK = 256
"""Side in pixels of the middle of each place, by which it is compared (own choice)."""

RANK = 0.75
"""Share of the places with less detail than the one that is taken (own choice: the emptiest shows
nothing, and the richest is often a scratch or a fold)."""


@dataclass(frozen=True)
class View:
    """What models see of an image.

    Attributes:
        image: ``(height, width)`` or ``(height, width, 3)``.
        window: First row, first column, last row and last column (exclusive) in the image.
        size: (height, width) of the image.
        notes: Sentences about what was read.
    """

    image: Array
    window: Window
    size: Size
    notes: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """True if it is the whole image."""
        return self.window == (0, 0, *self.size)

    def line(self) -> str:
        """Say in a few words what it is.

        >>> View(np.zeros((4, 5)), (0, 0, 4, 5), (4, 5)).line()
        'the whole image, 5 x 4 pixels'
        >>> View(np.zeros((4, 5)), (1, 2, 5, 7), (40, 50)).line()
        'x 2 to 7, y 1 to 5 of 50 x 40 pixels'
        """
        y0, x0, y1, x1 = self.window
        all_of_it = f"{self.size[1]} x {self.size[0]} pixels"
        if self.is_whole:
            return f"the whole image, {all_of_it}"
        return f"x {x0} to {x1}, y {y0} to {y1} of {all_of_it}"


def read_view(spec: SourceSpec) -> View:
    """Read the part of an image on which models are tried.

    Args:
        spec: The plane.

    Returns:
        The whole image if no side is longer than ``SIDE``, else the crop of ``typical_window``.

    Raises:
        SamzooError: The image cannot be read.
    """
    spec, opened = open_full_channels(spec)
    with closing(opened) as source:
        window = typical_window(source)
        return View(source.read(window), window, source.size, tuple(source.notes))


def typical_window(source: ImageSource, *, side: int = SIDE) -> Window:
    """Choose a crop with more detail than most others, but not the richest.

    Places on a regular grid are compared by the mean difference of neighbouring pixels in their
    middle. Nothing is random, so an image has one crop.

    Args:
        source: The image.
        side: Longest side of the crop in pixels.

    Returns:
        A window inside the image; all of a small image.

    Raises:
        ImageError: The file is damaged.
    """
    height, width = source.size
    rows, columns = _starts(height, side), _starts(width, side)
    windows = [
        (y, x, min(y + side, height), min(x + side, width)) for y in rows for x in columns
    ]  # fmt: skip
    if len(windows) == 1:
        return windows[0]
    detail = [_detail(source.read(_middle(window))) for window in windows]
    order = np.argsort(detail, kind="stable")
    return windows[int(order[round(RANK * (len(windows) - 1))])]


def _starts(length: int, side: int) -> list[int]:
    """Return where crops begin along a side of the image."""
    count = min(-(-length // side), PLACES)
    return [int(start) for start in np.linspace(0, max(length - side, 0), count)]


def _middle(window: Window) -> Window:
    y0, x0, y1, x1 = window
    high, wide = min(LOOK, y1 - y0), min(LOOK, x1 - x0)
    y, x = (y0 + y1 - high) // 2, (x0 + x1 - wide) // 2
    return y, x, y + high, x + wide


def _detail(pixels: Array) -> float:
    grey = pixels.astype(np.float64)
    grey = grey.mean(axis=2) if grey.ndim == 3 else grey
    steps = [np.abs(np.diff(grey, axis=axis)) for axis in (0, 1)]
    return float(sum(step.mean() for step in steps if step.size))
