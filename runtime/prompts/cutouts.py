"""Masks cut to their tight boxes, so that thousands fit into memory, and painted as labels.

In: boolean masks. Out: their cut-out parts, or label images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.images.geometry import Size

MaskPart: TypeAlias = tuple[int, int, Masks]
"""Row and column of a tight box's upper left corner, and the mask cut to that box."""


def labels_from_masks(masks: Masks) -> Labels2D:
    """Paint masks into one label image, the largest first, so that small ones stay visible.

    micro-sam also goes from large to small but never paints over another mask (own choice here: a
    small object inside a large mask would vanish). Masks of equal size are painted in the order
    given.

    Args:
        masks: ``(n, height, width)`` boolean; they may overlap or be empty.

    Returns:
        ``(height, width)`` int32; mask i has label i + 1. A label that is painted over is missing.

    Raises:
        ShapeError: The masks are not three-dimensional.
    """
    if masks.ndim != 3:
        raise ShapeError(f"masks must have shape (n, height, width), got {masks.shape}")
    return paint_parts([cut_out(mask) for mask in masks], masks.shape[1:])


def cut_out(mask: Masks) -> MaskPart:
    """Cut a mask to its tight box, so that thousands of objects fit into memory.

    Args:
        mask: ``(height, width)`` boolean.

    Returns:
        Row, column and a copy of the part; an empty mask has a part of shape (0, 0).
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if rows.size == 0:
        return 0, 0, np.zeros((0, 0), dtype=bool)
    part = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()
    return int(rows[0]), int(columns[0]), part


def largest_first(parts: Sequence[MaskPart]) -> list[int]:
    """Return the order in which parts are painted, so that small ones stay visible."""
    sizes = [int(np.count_nonzero(part)) for _, _, part in parts]
    return sorted(range(len(parts)), key=lambda index: -sizes[index])


def paint_parts(
    parts: Sequence[MaskPart],
    shape: tuple[int, ...],
    *,
    first_row: int = 0,
    order: Sequence[int] | None = None,
) -> Labels2D:
    """Paint cut-out masks as ``labels_from_masks`` does.

    Args:
        parts: From ``cut_out``.
        shape: (height, width) of the label image.
        first_row: The label image's first row in the image that the parts were cut from.
        order: From ``largest_first``, if it is known already.

    Returns:
        ``(height, width)`` int32; part i has label i + 1.
    """
    labels = np.zeros(shape, dtype=np.int32)
    for index in largest_first(parts) if order is None else order:
        row, column, part = parts[index]
        row -= first_row
        part = part[max(0, -row) :]
        place = labels[max(0, row) :, column : column + part.shape[1]][: len(part)]
        place[part[: len(place)]] = index + 1
    return labels


def place_masks(parts: Sequence[MaskPart], size: Size) -> Masks:
    """Put each cut-out mask back into an image of its own.

    Args:
        parts: From ``cut_out``.
        size: (height, width) of the image that they were cut from.

    Returns:
        ``(n, height, width)`` boolean.
    """
    masks = np.zeros((len(parts), *size), np.bool_)
    for mask, (row, column, part) in zip(masks, parts, strict=True):
        mask[row : row + part.shape[0], column : column + part.shape[1]] = part
    return masks
