"""The outlines of labelled objects, along the edges of their pixels.

In: the labels of an image of any size, band by band. Out: polygons with holes for each object.

A pixel at column x and row y is the square from (x, y) to (x + 1, y + 1), as in ImageJ and QuPath.
Outlines run along these squares, so a polygon that is filled again gives the very pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.int64]
"""Corners ``(n, 2)`` as (x, y); the last joins the first. No corner comes twice."""

Polygon = tuple[Ring, ...]
"""The outer ring, then the holes. Outer rings have positive area by the shoelace formula (clockwise
on a screen, where y points down), holes negative."""

_AHEAD = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
"""Steps (row, column) along an edge: above, right of, below and left of its pixel, with the pixel
on the right hand. One direction further is a turn to the right."""

_OUTSIDE = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""The neighbour (row, column) on the other side of an edge."""

_START = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
"""Where an edge starts (x, y), from the upper left corner of its pixel."""


_ROWS = 512
"""Rows whose edges are found at once, which bounds the memory (own choice)."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The outline of one object in one plane.

    Attributes:
        label: The object's number.
        polygons: Parts that share no edge of a pixel; most objects have one.
    """

    label: int
    polygons: tuple[Polygon, ...]


class Tracing:
    """Collects the edges of objects; its memory grows with the outlines, not with the pixels.

    Args:
        width: Columns of the image.
    """

    def __init__(self, width: int) -> None:
        self._width, self._row = width, 0
        self._above = np.zeros((1, width), np.int32)
        self._waiting: NDArray[Any] | None = None
        self._edges: list[NDArray[np.int64]] = []
        self._next: list[NDArray[np.int64]] = []
        self._labels: list[NDArray[np.int32]] = []

    def add(self, labels: NDArray[Any]) -> None:
        """Add the next rows.

        Args:
            labels: ``(rows, width)`` integers, 0 or less is background; they follow those added
                before.
        """
        for first in range(0, len(labels), _ROWS):
            rows = np.maximum(labels[first : first + _ROWS], 0).astype(np.int32)
            if self._waiting is not None:
                self._find(rows[:1])
            self._waiting = rows

    def _find(self, below: NDArray[Any]) -> None:
        """Find the edges of the rows that waited for the row below them."""
        rows = self._waiting
        assert rows is not None
        padded = np.pad(np.concatenate([self._above, rows, below]), ((0, 0), (1, 1)))
        inside = padded[1:-1, 1:-1]
        for direction in range(4):
            ahead, outside = _AHEAD[direction], _OUTSIDE[direction]
            y, x = np.nonzero((inside > 0) & (inside != _shifted(padded, outside)))
            own = inside[y, x]
            free = padded[1 + y + ahead[0], 1 + x + ahead[1]] != own
            corner = ahead + outside
            # A pixel that is met at a corner only is another part: turn before it.
            left = ~free & (padded[1 + y + corner[0], 1 + x + corner[1]] == own)
            straight = ~free & ~left
            to_y = y + straight * ahead[0] + left * corner[0]
            to_x = x + straight * ahead[1] + left * corner[1]
            to = (direction + free - left) % 4
            self._edges.append(self._key(y, x, np.full(len(y), direction)))
            self._next.append(self._key(to_y, to_x, to))
            self._labels.append(own)
        self._row += len(rows)
        self._above = rows[-1:]

    def _key(self, y: NDArray[Any], x: NDArray[Any], direction: NDArray[Any]) -> NDArray[np.int64]:
        key: NDArray[np.int64] = ((y + self._row) * self._width + x) * 4 + direction
        return key

    def outlines(self) -> Iterator[Outline]:
        """Yield the outline of each object, ordered by label; all rows have been added."""
        if self._waiting is not None:
            self._find(np.zeros((1, self._width), np.int32))
            self._waiting = None
        edges = np.concatenate([np.zeros(0, np.int64), *self._edges])
        if not len(edges):
            return
        labels = np.concatenate(self._labels)
        order = np.lexsort((edges, labels))
        by_edge = np.argsort(edges)
        places = by_edge[np.searchsorted(edges[by_edge], np.concatenate(self._next))]
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        after = rank[places[order]]
        edges, labels = edges[order], labels[order]
        corners = self._corners(edges)
        turns = np.zeros(len(edges), np.bool_)
        turns[after] = edges % 4 != edges[after] % 4
        following, turned = after.tolist(), turns.tolist()
        seen = bytearray(len(edges))
        starts = np.flatnonzero(np.diff(labels, prepend=0))
        for first, end in zip(starts, [*starts[1:], len(labels)], strict=True):
            rings: list[Ring] = []
            for start in range(int(first), int(end)):
                if not seen[start]:
                    ring, at = [], start
                    while not seen[at]:
                        seen[at] = 1
                        if turned[at]:
                            ring.append(at)
                        at = following[at]
                    rings += _simple(corners[ring])
            yield Outline(int(labels[first]), _polygons(rings))

    def _corners(self, edges: NDArray[np.int64]) -> NDArray[np.int64]:
        pixel, direction = edges // 4, edges % 4
        corners: NDArray[np.int64] = (
            np.stack([pixel % self._width, pixel // self._width], axis=1) + _START[direction]
        )
        return corners


def trace(labels: NDArray[Any]) -> list[Outline]:
    """Trace the objects of an image that is in memory.

    Args:
        labels: ``(height, width)`` integers, 0 or less is background.

    Returns:
        The outline of each object, ordered by label.

    >>> import numpy as np
    >>> [found] = trace(np.array([[0, 0, 0], [0, 7, 7]]))
    >>> found.label, found.polygons[0][0].tolist()
    (7, [[1, 1], [3, 1], [3, 2], [1, 2]])
    """
    tracing = Tracing(labels.shape[1])
    tracing.add(labels)
    return list(tracing.outlines())


def area(ring: Ring) -> float:
    """Return the signed area of a ring by the shoelace formula, in pixels.

    Args:
        ring: As ``Ring``.
    """
    x, y = ring[:, 0], ring[:, 1]
    around = x[:-1] @ y[1:] - x[1:] @ y[:-1]
    return float(around + x[-1] * y[0] - x[0] * y[-1]) / 2


def _shifted(padded: NDArray[Any], step: NDArray[Any]) -> NDArray[Any]:
    height, width = padded.shape
    dy, dx = int(step[0]), int(step[1])
    return padded[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx]


def _simple(ring: Ring) -> list[Ring]:
    """Cut a ring at corners that it passes twice, which no polygon of QuPath's may have."""
    points = list(map(tuple, ring.tolist()))
    if len(set(points)) == len(points):
        return [ring]
    found: list[Ring] = []
    path: list[tuple[int, ...]] = []
    place: dict[tuple[int, ...], int] = {}
    for point in points:
        if point in place:
            loop = path[place[point] :]
            found.append(np.array(loop))
            for each in loop[1:]:
                del place[each]
            del path[place[point] + 1 :]
        else:
            place[point] = len(path)
            path.append(point)
    return [*found, np.array(path)]


def _polygons(rings: list[Ring]) -> tuple[Polygon, ...]:
    """Give each hole to the outer ring around it."""
    if len(rings) == 1:
        return ((rings[0],),)
    areas = [area(ring) for ring in rings]
    by_area = sorted(range(len(rings)), key=areas.__getitem__)
    outer = [rings[i] for i in by_area if areas[i] > 0]
    holes: list[list[Ring]] = [[] for _ in outer]
    for ring, signed in zip(rings, areas, strict=True):
        if signed < 0:
            owner = 0
            if len(outer) > 1:
                owner = next(i for i, each in enumerate(outer) if _holds(each, _beside(ring)))
            holes[owner].append(ring)
    return tuple((ring, *inner) for ring, inner in zip(outer, holes, strict=True))


def _beside(hole: Ring) -> NDArray[np.float64]:
    """Return the centre of a pixel of the object beside a hole's first edge."""
    step = np.sign(hole[1] - hole[0])
    right = np.array([-step[1], step[0]])  # y points down
    found: NDArray[np.float64] = hole[0] + step / 2 + right / 2
    return found


def _holds(ring: Ring, point: NDArray[np.float64]) -> bool:
    """Tell whether a point, never on an edge, lies in a ring (even-odd rule)."""
    x, y = point
    x0, y0 = ring[:, 0], ring[:, 1]
    y1 = np.roll(y0, -1)
    return bool(((x0 > x) & ((y0 > y) != (y1 > y))).sum() % 2)
