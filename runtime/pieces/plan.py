"""The plan of the work on a large image: units of model tiles, and blocks of pixels.

In: sizes. Out: a ``Plan``, which is the same in every process.

Units are whole model tiles, whose maps meet without overlap. Blocks lie on a grid that depends
only on the image. So the objects of two runs with different tiles differ only where the maps
differ.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.pixels.reader import Window

BLOCK = 1024
"""Side of a block and, nearly, of a unit (own choice: it takes about 100 MB and some seconds)."""

MARGIN = 256
"""Pixels around a block in which its objects are flooded too. An object that reaches no further
than this beyond the block is the same as in the whole image."""

ALIGNMENT = 16
"""The smoothing of bioimage-cpp 0.10 rounds the columns at a row's end in another order. A window
that starts at a multiple of its vectors and ends this much later has the whole image's values."""


@dataclass(frozen=True)
class Plan:
    """The units and blocks of an image.

    Attributes:
        size: (height, width) of the image.
        placements: The model's tiles, row by row, for each placement on the image.
        ais: Smoothings and thresholds.
        block: Side of a block.
        margin: See ``MARGIN``.
    """

    size: Size
    placements: tuple[tuple[Tile, ...], ...]
    ais: AisParameters
    block: int = BLOCK
    margin: int = MARGIN

    @cached_property
    def _groups(self) -> dict[tuple[int, int, int], list[Tile]]:
        groups: dict[tuple[int, int, int], list[Tile]] = {}
        for placement, tiles in enumerate(self.placements):
            for tile in tiles:
                y, x = tile.inner[:2]
                groups.setdefault((placement, y // self.block, x // self.block), []).append(tile)
        return dict(sorted(groups.items()))

    @cached_property
    def units(self) -> list[list[Tile]]:
        """Model tiles in groups, each of which covers a rectangle about as large as a block."""
        return list(self._groups.values())

    @cached_property
    def unit_windows(self) -> list[Window]:
        """The window that the inner parts of each unit's tiles cover."""
        return [cover([tile.inner for tile in unit]) for unit in self.units]

    @property
    def grid(self) -> Size:
        """(rows, columns) of blocks."""
        return math.ceil(self.size[0] / self.block), math.ceil(self.size[1] / self.block)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return self.grid[0] * self.grid[1]

    def block_window(self, index: int) -> Window:
        """Return the window of a block; they are numbered row by row."""
        row, column = divmod(index, self.grid[1])
        y, x = row * self.block, column * self.block
        return y, x, min(y + self.block, self.size[0]), min(x + self.block, self.size[1])

    def blocks_in(self, window: Window) -> list[int]:
        """Return the blocks that a window touches."""
        y0, x0, y1, x1 = (value // self.block for value in (*window[:2], *_last(window)))
        return [r * self.grid[1] + c for r in range(y0, y1 + 1) for c in range(x0, x1 + 1)]

    def units_in(self, window: Window, placement: int) -> list[int]:
        """Return the units of one placement that a window touches."""
        units = zip(self._groups, self.unit_windows, strict=True)
        return [
            index
            for index, ((of, *_), unit) in enumerate(units)
            if of == placement and overlap(unit, window) is not None
        ]

    def grown(self, window: Window, by: int) -> Window:
        """Return a window with a margin, cut off at the image's border."""
        y0, x0, y1, x1 = window
        return (
            max(0, y0 - by), max(0, x0 - by),
            min(self.size[0], y1 + by), min(self.size[1], x1 + by),
        )  # fmt: skip

    def smoothing_window(self, window: Window) -> Window:
        """Return the window to smooth, so that a window has the values of the whole image."""
        ais = self.ais
        radius = math.ceil(3 * max(ais.foreground_smoothing, ais.distance_smoothing))
        y0, x0, y1, x1 = self.grown(window, radius)
        return y0, x0 // ALIGNMENT * ALIGNMENT, y1, min(self.size[1], x1 + ALIGNMENT)


def cover(windows: list[Window]) -> Window:
    """Return the smallest window that holds others."""
    y0, x0, y1, x1 = zip(*windows, strict=True)
    return min(y0), min(x0), max(y1), max(x1)


def overlap(a: Window, b: Window) -> Window | None:
    """Return the window that two windows share; None if they share nothing."""
    y0, x0, y1, x1 = max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])
    return (y0, x0, y1, x1) if y0 < y1 and x0 < x1 else None


def part(window: Window, of: Window) -> tuple[slice, slice]:
    """Return the index of ``window`` in an array that holds ``of``."""
    return (
        slice(window[0] - of[0], window[2] - of[0]),
        slice(window[1] - of[1], window[3] - of[1]),
    )


def _last(window: Window) -> tuple[int, int]:
    return window[2] - 1, window[3] - 1
