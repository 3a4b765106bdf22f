"""Overlapping tiles, into which an image is cut.

In: sizes. Out: ``Tile`` windows whose inner parts cover every pixel exactly once.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

from samzoo.runtime.errors import ShapeError

from .geometry import Size

HALO_FRACTION = 8
"""The default halo is the field of view divided by this number (own choice: measured in the model
card's folder, on nuclei a fifth of the field wide)."""


@dataclass(frozen=True)
class Tile:
    """A window on an image, in pixels, half-open.

    Attributes:
        outer: (y0, x0, y1, x1) of the part that the network sees.
        inner: (y0, x0, y1, x1) of the part whose result is kept.
    """

    outer: tuple[int, int, int, int]
    inner: tuple[int, int, int, int]

    @property
    def size(self) -> Size:
        """(height, width) of the outer window."""
        return self.outer[2] - self.outer[0], self.outer[3] - self.outer[1]


def whole(size: Size) -> list[Tile]:
    """Return one tile that is the whole image."""
    window = (0, 0, *size)
    return [Tile(window, window)]


def even_tiles(size: Size, field: int, halo: int, phase: float = 0.0) -> list[Tile]:
    """Cut an image into as few windows of ``field`` x ``field`` as the halo allows.

    Windows are spread evenly, so that they overlap as much as their number allows. Inner parts
    meet in the middle of the overlap, at least ``halo`` pixels from either window's edge.

    Args:
        size: (height, width) of the image.
        field: Side of a window in image pixels.
        halo: Least distance between an inner part and its window's edge inside the image.
        phase: How far the windows move, as a fraction of their distance, in [0, 1). The first and
            the last stay at the border, so that there is one more along each side.

    Returns:
        Tiles in row-major order; one tile if the image fits into it.

    Raises:
        ShapeError: The halo is negative or leaves nothing of the window.

    >>> [tile.outer[1::2] for tile in even_tiles((100, 300), 200, 20)]
    [(0, 200), (100, 300)]
    """
    _check_halo(field, halo)
    rows = _even_spans(size[0], field, halo, phase)
    columns = _even_spans(size[1], field, halo, phase)
    return _grid(rows, columns)


def regular_tiles(size: Size, tile_shape: Size, halo: Size, phase: float = 0.0) -> list[Tile]:
    """Cut an image into inner tiles of a given shape, each seen with a halo around it.

    Args:
        size: (height, width) of the image.
        tile_shape: (height, width) of an inner part; those at the end may be smaller.
        halo: (height, width) of the context on each side, cut off at the image's border.
        phase: How far the tiles move, as a fraction of their side, in [0, 1); the first are
            smaller then.

    Returns:
        Tiles in row-major order.

    Raises:
        ShapeError: A tile side is not positive or a halo is negative.

    Source:
        The blocking that micro-sam 1.8.14 uses for ``tile_shape`` and ``halo``.
    """
    if min(tile_shape) < 1 or min(halo) < 0:
        raise ShapeError(
            f"tile_shape must be positive and halo not negative, got {tile_shape} and {halo}"
        )
    spans = []
    for length, side, margin in zip(size, tile_shape, halo, strict=True):
        first = round(phase * side) if length > side else 0
        edges = [0, *range(first or side, length, side), length]
        spans.append(
            [
                (max(0, a - margin), min(length, b + margin), a, b)
                for a, b in itertools.pairwise(edges)
            ]
        )
    return _grid(*spans)


def whole_windows(tiles: list[Tile], size: Size, window: Size) -> list[Tile]:
    """Give all tiles windows of one size, also at the image's border.

    The network would see less in a window that the border cuts off, at another place of its input
    and, without a declared scale, at another magnification.

    Args:
        tiles: The image's tiles, with inner parts of at most ``window``.
        size: (height, width) of the image.
        window: (height, width) that the network is to see.

    Returns:
        Tiles with the same inner parts. Each part lies in the middle of its window, or as near to
        the middle as the image's border allows. An image smaller than the window is seen whole.

    >>> [tile.outer[1::2] for tile in whole_windows(regular_tiles((9, 90), (9, 40), (0, 5)),
    ...                                             (9, 90), (9, 60))]
    [(0, 60), (30, 90), (30, 90)]
    """

    def moved(tile: Tile, axis: int) -> tuple[int, int]:
        side = min(window[axis], size[axis])
        start = (tile.inner[axis] + tile.inner[axis + 2] - side) // 2
        start = min(max(start, 0), size[axis] - side)
        return start, start + side

    seen = []
    for tile in tiles:
        (y0, y1), (x0, x1) = moved(tile, 0), moved(tile, 1)
        seen.append(Tile((y0, x0, y1, x1), tile.inner))
    return seen


_Span = tuple[int, int, int, int]  # outer start and end, inner start and end


def _even_spans(length: int, field: int, halo: int, phase: float) -> list[_Span]:
    if length <= field:
        return [(0, length, 0, length)]
    count = max(2, math.ceil((length - 2 * halo) / (field - 2 * halo)))
    moved = [max(0.0, i + phase - 1) for i in range(count)] if phase else range(count - 1)
    starts = sorted({round(i * (length - field) / (count - 1)) for i in (*moved, count - 1)})
    # Neighbouring inner parts meet in the middle of the overlap of their windows.
    seams = [(b + a + field) // 2 for a, b in itertools.pairwise(starts)]
    edges = [0, *seams, length]
    return [(start, start + field, edges[i], edges[i + 1]) for i, start in enumerate(starts)]


def _grid(rows: list[_Span], columns: list[_Span]) -> list[Tile]:
    return [
        Tile(
            outer=(row[0], column[0], row[1], column[1]),
            inner=(row[2], column[2], row[3], column[3]),
        )
        for row in rows
        for column in columns
    ]


def _check_halo(field: int, halo: int) -> None:
    if halo < 0 or field - 2 * halo < 1:
        raise ShapeError(
            f"halo must be at least 0 and less than half the model's field of {field} pixels, "
            f"got {halo}"
        )
