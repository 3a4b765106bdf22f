"""Label arrays: what their numbers mean, checked.

In: arrays from files or callers. Out: int32 labels with few numbers: 0 is background, -1 is not
annotated, and everything above is an object.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Labels2D

IGNORED = -1
"""The label of pixels that nobody annotated. Source: ilastik, torch-em and PyTorch's losses leave
out negative labels; no unsigned file can hold it by accident."""

_MOST_FLOAT32 = 2**24

MOST_KEPT = 2**22
"""Ids up to this one, or up to the number of pixels, stay as they are (own choice): a table of
8-byte numbers with a row for each id up to there takes 34 MB, and few people look for an object by
a larger number."""

_PIXELS = 2**22
"""Pixels that are renumbered at once, which bounds the memory (own choice)."""


def check_labels(
    labels: Array,
    where: str = "labels",
    *,
    ignored_allowed: bool = False,
    ignore: Collection[int] = (),
    renumber: bool = True,
) -> Labels2D:
    """Check a label array and convert it to int32.

    Args:
        labels: ``(height, width)`` boolean, integer, or floating point with whole numbers.
        where: Names the array in messages.
        ignored_allowed: Whether pixels may be not annotated: -1.
        ignore: Further ids that mean "not annotated"; they become -1.
        renumber: Number the objects anew, in the order of their ids and from 1 without gaps, if an
            id is larger than both ``MOST_KEPT`` and the number of pixels. Tables that are indexed
            by label then need little memory.

    Returns:
        ``(height, width)`` int32, -1 or more, a new array; a boolean mask is one object with
        label 1.

    Raises:
        ImageError: The shape is another one, or there are no pixels, fractions, negative ids, or
            ids that the array's numbers cannot tell apart; or, if not ``renumber``, ids above
            2**31 - 1.
    """
    if labels.ndim == 3 and labels.shape[2] in (3, 4):
        raise ImageError(
            f"{where}: found a colour image of shape {labels.shape}, expected one integer a pixel "
            "(0 background, 1, 2, ... objects); save the labels themselves, not their picture"
        )
    if labels.ndim != 2 or labels.size == 0:
        raise ImageError(
            f"{where}: found shape {labels.shape}, expected (height, width) labels; of a stack of "
            "one mask an object, make one image in which each object has its own number"
        )
    if labels.dtype.kind not in "biuf":
        raise ImageError(f"{where}: found values of dtype {labels.dtype}, expected integers")
    if labels.dtype.kind == "f":
        labels = _whole_numbers(labels, where)
    left_out = _left_out(labels, where, {*ignore, *((IGNORED,) if ignored_allowed else ())})
    objects = labels if left_out is None else np.where(left_out, np.zeros((), labels.dtype), labels)
    high = int(objects.max())
    if high <= max(MOST_KEPT, labels.size) or not renumber:
        if high > np.iinfo(np.int32).max:
            raise ImageError(f"{where}: found label {high}, allowed are 0 to 2**31 - 1; renumber")
        dense = objects.astype(np.int32)
    else:
        dense = _dense(objects)
    if left_out is not None:
        dense[left_out] = IGNORED
    return dense


def _whole_numbers(labels: Array, where: str) -> NDArray[np.int64]:
    low, high = labels.min(), labels.max()
    if not np.isfinite(high - low):
        raise ImageError(
            f"{where}: found NaN or infinite values, expected whole numbers; "
            "give pixels that nobody annotated the number -1"
        )
    most = _MOST_FLOAT32 if labels.dtype.itemsize <= 4 else 2**53
    if high > most:
        raise ImageError(
            f"{where}: found labels up to {high:.0f} as {labels.dtype}, which cannot tell ids "
            f"above {most} apart; save them as integers"
        )
    converted = labels.astype(np.int64)
    if not np.array_equal(converted, labels):
        raise ImageError(
            f"{where}: found fractions, expected whole numbers; "
            "is this a probability map or a resized label image?"
        )
    return converted


def _left_out(labels: Array, where: str, ids: Collection[int]) -> NDArray[np.bool_] | None:
    """Return the pixels that are not annotated, or None if there are none."""
    held = []
    if labels.dtype.kind != "b":
        allowed = np.iinfo(labels.dtype)
        held = [each for each in ids if allowed.min <= each <= allowed.max]
    left_out = np.isin(labels, held) if held else np.zeros(labels.shape, np.bool_)
    low = labels.min(where=~left_out, initial=0)
    if low < 0:
        raise ImageError(
            f"{where}: found labels from {low}; 0 is background, 1 and more are objects, "
            f"and {IGNORED} in an annotation means not annotated. Number the objects from 1"
        )
    return left_out if left_out.any() else None


def _dense(labels: Array) -> Labels2D:
    """Number objects from 1 without gaps."""
    ids = np.unique(labels)
    if ids[0] != 0:
        ids = np.insert(ids, 0, 0)
    dense = np.empty(labels.shape, np.int32)
    rows = max(1, _PIXELS // labels.shape[1])
    for start in range(0, len(labels), rows):
        dense[start : start + rows] = np.searchsorted(ids, labels[start : start + rows])
    return dense


def object_areas(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Return the pixels of each object, in the order of their labels.

    Args:
        labels: As from ``check_labels``.

    Returns:
        ``(n,)``; empty without objects.
    """
    areas: NDArray[np.int64] = np.bincount(labels[labels > 0])
    return areas[areas > 0]


def equivalent_diameters(areas: ArrayLike) -> NDArray[np.float64]:
    """Return the diameter in pixels of the circle of each area, which is an object's diameter.

    Args:
        areas: Pixels, of any shape.

    Returns:
        Diameters of the same shape.

    >>> equivalent_diameters([100 * np.pi, 4 * np.pi]).tolist()
    [20.0, 4.0]
    """
    diameters: NDArray[np.float64] = 2.0 * np.sqrt(np.asarray(areas) / np.pi)
    return diameters


def median_object_diameter(areas: ArrayLike) -> float:
    """Return the median of the objects' diameters, which is what "median diameter" means here.

    Args:
        areas: Pixels of at least one object, ``(n,)``.

    >>> median_object_diameter([4 * np.pi, 100 * np.pi])  # of diameters, not of areas
    12.0
    """
    return float(np.median(equivalent_diameters(areas)))
