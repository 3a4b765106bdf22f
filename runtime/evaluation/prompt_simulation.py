"""A simulated annotator's prompts, drawn from true labels.

In: label images or masks. Out: boxes and points as a user would give them. Evaluation and training
share these functions, so that "a point" and "a correction" mean the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from bioimage_cpp.distance import distance_transform
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.arrays import Boxes, Labels2D, Masks, Points
from samzoo.runtime.prompts.tokens import NEGATIVE, PADDING, POSITIVE

BOX_MARGIN = 3
"""Pixels by which a box grows before a negative point is drawn around a mask without false
positives. Source: micro-sam 1.8.14, ``prompt_generators.IterativePromptGenerator``."""

Ids: TypeAlias = Sequence[int] | NDArray[np.integer]
"""Labels of the wanted objects."""


def object_boxes(labels: Labels2D, ids: Ids) -> Boxes:
    """Return the tight box of each object.

    Args:
        labels: ``(height, width)`` int32.
        ids: Labels of the wanted objects.

    Returns:
        ``(n, 4)`` float32 XYXY: smallest column and row, largest column and row **plus one**, so
        that x1 - x0 is the width in pixels. The shape is ``(0, 4)`` without ids.

    Raises:
        InputError: An id is not in the image.

    Source:
        micro-sam finetunes with the same half-open box (scikit-image's ``regionprops(...).bbox``
        in ``util.get_centers_and_bounding_boxes``).
    """
    slices = _object_slices(labels, ids)
    boxes = [(x.start, y.start, x.stop, y.stop) for y, x in slices]
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)


def object_centers(labels: Labels2D, ids: Ids) -> Points:
    """Return each object's innermost pixel, the first maximum of its distance transform.

    Args:
        labels: ``(height, width)`` int32.
        ids: Labels of the wanted objects.

    Returns:
        ``(n, 2)`` float32 pixel coordinates (x, y), each inside its object. Distances are
        Euclidean, to the nearest pixel that does not belong to the object; pixels outside the
        image do not. The first of equal maxima in raster order counts.

    Raises:
        InputError: An id is not in the image.

    Source:
        micro-sam 1.8.14 prompts at such a point (``util.get_centers_and_bounding_boxes``, mode
        ``v``). It measures distances to the innermost boundary pixels, so that it may break ties
        differently.
    """
    centers = np.zeros((len(ids), 2), dtype=np.float32)
    for index, (rows, columns) in enumerate(_object_slices(labels, ids)):
        inside = np.pad(labels[rows, columns] == ids[index], 1)
        distances = distance_transform(inside)
        row, column = np.unravel_index(int(np.argmax(distances)), inside.shape)
        centers[index] = (column - 1 + columns.start, row - 1 + rows.start)
    return centers


def _object_slices(labels: Labels2D, ids: Ids) -> list[tuple[slice, slice]]:
    """Return row and column slices of the wanted objects in one pass over the image."""
    rows, columns = np.nonzero(labels)
    values = labels[rows, columns]
    present, index = np.unique(values, return_inverse=True)
    wanted = np.asarray(ids, dtype=np.int64)
    missing = wanted[~np.isin(wanted, present)]
    if missing.size:
        raise InputError(f"ids: object {missing[0]} is not in the label image")
    height, width = labels.shape
    low = np.full((present.size, 2), max(height, width))
    high = np.zeros((present.size, 2), dtype=np.int64)
    for axis, coordinates in enumerate((rows, columns)):
        np.minimum.at(low[:, axis], index, coordinates)
        np.maximum.at(high[:, axis], index, coordinates + 1)
    return [
        (slice(int(low[i, 0]), int(high[i, 0])), slice(int(low[i, 1]), int(high[i, 1])))
        for i in np.searchsorted(present, wanted)
    ]


def random_points(mask: Masks, n: int, rng: np.random.Generator) -> Points:
    """Draw pixels of a mask with equal probability.

    Args:
        mask: ``(height, width)`` boolean with at least one true pixel.
        n: Number of points. They do not repeat, unless the mask has fewer pixels.
        rng: Source of randomness.

    Returns:
        ``(n, 2)`` float32 pixel coordinates (x, y).

    Raises:
        InputError: The mask is empty.
    """
    candidates = np.flatnonzero(mask)
    if candidates.size == 0:
        raise InputError("mask: holds no pixel to draw a point from")
    chosen = rng.choice(candidates, size=n, replace=n > candidates.size)
    return np.stack(np.divmod(chosen, mask.shape[1])[::-1], axis=1).astype(np.float32)


def correction_points(
    truth_mask: Masks,
    predicted_mask: Masks,
    rng: np.random.Generator,
    dilation: int = 0,
    *,
    ignored: Masks | None = None,
) -> tuple[Points, NDArray[np.int32]]:
    """Draw one positive and one negative point where a prediction is wrong.

    The positive point is drawn from the false negatives; if there are none, from where both agree.
    The negative point is drawn from the first of these that has a pixel: the false positives; the
    background inside the object's box, grown by ``BOX_MARGIN``, and outside the truth, dilated by
    ``dilation``; the same without dilation; all background.

    Args:
        truth_mask: ``(height, width)`` boolean with at least one true pixel.
        predicted_mask: Same shape.
        rng: Source of randomness; each call draws twice.
        dilation: Distance around the truth, in pixels (maximum norm), within which no negative
            point is drawn unless it is a false positive.
        ignored: ``(height, width)`` boolean; pixels that are not annotated, where no point is
            drawn. They are no part of the truth.

    Returns:
        Points ``(2, 2)`` float32 (x, y), and labels ``(2,)`` int32: 1 and 0. If the truth fills
        all that is annotated, the second point repeats the first with label -1 (padding).

    Raises:
        ShapeError: The shapes differ.
        InputError: The truth is empty.

    Source:
        micro-sam 1.8.14, ``prompt_generators.IterativePromptGenerator``, which does not dilate
        here. Its ``PointAndBoxPromptGenerator`` dilates by 10 in training and by 5 in evaluation
        when it draws the negative points of a first prompt.
    """
    if truth_mask.shape != predicted_mask.shape:
        raise ShapeError(
            f"truth_mask and predicted_mask must have the same shape, got {truth_mask.shape} and "
            f"{predicted_mask.shape}"
        )
    false_negatives = truth_mask & ~predicted_mask
    # Without false negatives the overlap is the whole truth.
    positive = random_points(false_negatives if false_negatives.any() else truth_mask, 1, rng)
    known = None if ignored is None or not ignored.any() else ~ignored
    candidates = _negative_candidates(truth_mask, predicted_mask, dilation, known)
    if candidates is None:
        negative, label = positive, PADDING
    else:
        negative, label = random_points(candidates, 1, rng), NEGATIVE
    return np.concatenate([positive, negative]), np.array([POSITIVE, label], dtype=np.int32)


def _negative_candidates(
    truth: Masks, predicted: Masks, dilation: int, known: Masks | None
) -> Masks | None:
    false_positives = predicted & ~truth
    if known is not None:
        false_positives &= known
    if false_positives.any():
        return false_positives
    rows, columns = np.flatnonzero(truth.any(axis=1)), np.flatnonzero(truth.any(axis=0))
    near = (
        slice(max(rows[0] - BOX_MARGIN, 0), rows[-1] + 1 + BOX_MARGIN),
        slice(max(columns[0] - BOX_MARGIN, 0), columns[-1] + 1 + BOX_MARGIN),
    )
    for distance in (dilation, 0) if dilation > 0 else (0,):
        around = np.zeros_like(truth)
        around[near] = ~dilate(truth[near], distance)
        if known is not None:
            around &= known
        if around.any():
            return around
    background = ~truth if known is None else ~truth & known
    return background if background.any() else None


def dilate(mask: Masks, distance: int) -> Masks:
    """Grow a mask by a number of pixels in the maximum norm (a square window).

    Args:
        mask: ``(height, width)`` boolean.
        distance: Pixels, not negative; 0 returns the mask.

    Returns:
        ``(height, width)`` boolean.
    """
    for axis in (0, 1):
        size = mask.shape[axis]
        sums = np.concatenate(
            [np.zeros_like(mask.take([0], axis), dtype=np.int64), np.cumsum(mask, axis)], axis
        )
        first = np.maximum(np.arange(size) - distance, 0)
        behind = np.minimum(np.arange(size) + distance + 1, size)
        mask = sums.take(behind, axis) > sums.take(first, axis)
    return mask
