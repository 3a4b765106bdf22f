"""The cut of an object along a line that a person draws.

In: labels, an object, and the line's points. Out: the labels afterwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from bioimage_cpp.segmentation import label as components
from bioimage_cpp.segmentation import watershed
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.pixels.reader import Window

from .edits import check_ids

CRUMB = 4
"""Pieces of fewer pixels are no objects of their own: a slanted line cuts such corners off. They
stay with the piece that they touch (own choice)."""

STEP = 0.25
"""Pixels between the places of a line that are looked at; no pixel of it is missed."""


def split(
    labels: Labels2D, label: int, line: Sequence[tuple[float, float]]
) -> tuple[Labels2D, list[int]]:
    """Cut an object along a line.

    Args:
        labels: ``(height, width)`` int32.
        label: The object.
        line: Its corners, (x, y) in pixels, at least two; they may lie outside the image.

    Returns:
        The labels afterwards, and the labels of the pieces. The largest piece keeps the object's
        label, the others get new ones after the largest. The line's own pixels go to a piece that
        they touch. A part of the object that does not touch the line stays with its label.

    Raises:
        InputError: There is no such object, or the line does not cut it in two.
    """
    check_ids(labels, [label])
    y0, x0, y1, x1 = window = tight_window(labels == label)
    mask = labels[y0:y1, x0:x1] == label
    cut = line_mask(line, window) & mask
    parts = components(mask)
    pieces = components(mask & ~cut)
    sizes = np.bincount(pieces.ravel())
    seeds = np.zeros(mask.shape, np.int32)
    groups: list[list[int]] = []
    for part in np.unique(parts[cut]).tolist():
        inside = np.unique(pieces[(parts == part) & (pieces > 0)]).tolist()
        large = sorted((n for n in inside if sizes[n] >= CRUMB), key=lambda n: -int(sizes[n]))
        if len(large) > 1:
            groups.append(large)
            seeds[np.isin(pieces, large)] = pieces[np.isin(pieces, large)]
    if not groups:
        raise InputError(
            f"object {label}: the line does not cut it in two; draw it across the whole object, "
            "from outside to outside"
        )
    touched = np.isin(parts, [part for part in np.unique(parts[cut]) if seeds[parts == part].any()])
    flooded = watershed(np.zeros(mask.shape, np.float32), seeds, mask=touched & mask)
    after = labels.copy()
    target = after[y0:y1, x0:x1]
    areas = np.bincount(flooded.ravel())
    largest = max((n for group in groups for n in group), key=lambda n: int(areas[n]))
    found, new = [label], int(labels.max())
    for group in groups:
        for number in group:
            if number == largest:
                continue
            new += 1
            found.append(new)
            target[flooded == number] = new
    return after, found


def line_mask(line: Sequence[tuple[float, float]], window: Window) -> Masks:
    """Draw a line so that no step from pixel to pixel, also a slanted one, gets across it.

    Args:
        line: Its corners, (x, y) in pixels.
        window: (y0, x0, y1, x1) of the part of the image to draw.

    Returns:
        Boolean, of the window's size.

    Raises:
        InputError: The line has fewer than two corners, or one is not a finite number.
    """
    points: NDArray[np.float64] = np.asarray(line, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise InputError(f"a line needs two points (x, y) or more, found {len(line)}")
    if not np.isfinite(points).all() or np.abs(points).max() > 2**24:
        raise InputError("a line's points must be finite numbers of pixels")
    y0, x0, y1, x1 = window
    mask = np.zeros((y1 - y0, x1 - x0), np.bool_)
    for start, end in itertools.pairwise(points):
        ends = _inside(start, end, window)
        if ends is None:
            continue
        steps = int(np.ceil(np.hypot(*(ends[1] - ends[0])) / STEP)) + 1
        columns, rows = np.floor(np.linspace(ends[0], ends[1], steps)).astype(np.int64).T
        # A step in both directions at once gets a corner, or slanted neighbours would connect.
        slanted = (np.diff(columns) != 0) & (np.diff(rows) != 0)
        rows = np.concatenate([rows, rows[:-1][slanted]]) - y0
        columns = np.concatenate([columns, columns[1:][slanted]]) - x0
        valid = (rows >= 0) & (rows < mask.shape[0]) & (columns >= 0) & (columns < mask.shape[1])
        mask[rows[valid], columns[valid]] = True
    return mask


def tight_window(mask: Masks) -> Window:
    """Return the window (y0, x0, y1, x1) around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _inside(
    start: NDArray[np.float64], end: NDArray[np.float64], window: Window
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Cut a segment to the window and a margin of 2 pixels; None if it lies outside.

    Source: Liang and Barsky, "A new concept and method for line clipping" (1984).
    """
    low = np.array([window[1] - 2.0, window[0] - 2.0])
    high = np.array([window[3] + 2.0, window[2] + 2.0])
    way = end - start
    first, last = 0.0, 1.0
    for axis in (0, 1):
        if way[axis] == 0:
            if not low[axis] <= start[axis] <= high[axis]:
                return None
            continue
        reach = sorted(((each - start[axis]) / way[axis]) for each in (low[axis], high[axis]))
        first, last = max(first, reach[0]), min(last, reach[1])
    return None if first > last else (start + first * way, start + last * way)
