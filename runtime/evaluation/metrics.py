"""Metrics of how well labels and masks agree with the truth.

In: label images or boolean masks. Out: numbers in [0, 1].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.images.label_arrays import IGNORED

from .matching import Matches, average_precision, match_objects


def mean_segmentation_accuracy(labels: Labels2D, truth: Labels2D) -> dict[str, float]:
    """Compare instance labels with the truth at IoU thresholds 0.50, 0.55, ..., 0.95.

    ``SA(t) = TP / (TP + FP + FN)``, where TP counts pairs of one predicted and one true object
    with ``IoU >= t``, each object in at most one pair.

    Pixels that are not annotated, and objects mostly there, count as ``match_objects`` says.

    Args:
        labels: Prediction, ``(height, width)`` integer, 0 is background.
        truth: True labels, same shape; -1 is not annotated.

    Returns:
        ``msa`` (mean over the ten thresholds), ``sa50`` and ``sa75``, each in [0, 1]. They are 1.0
        if both images have no object, and 0.0 if only one of them has none.

    Raises:
        ShapeError: The shapes differ.

    Source:
        Caicedo et al., Nature Methods 2019 (Data Science Bowl 2018), as in PEFT-SAM's evaluation
        (``elf.evaluation.mean_segmentation_accuracy``). Its thresholds are floating point numbers,
        so that an IoU of exactly 0.6 misses ``0.6000000000000001``.
    """
    return segmentation_accuracies(match_objects(labels, truth))


def segmentation_accuracies(matches: Matches) -> dict[str, float]:
    """Return ``msa``, ``sa50`` and ``sa75`` of counted matches; see above."""
    named = average_precision([matches])
    return {"msa": named["ap"], "sa50": named["ap50"], "sa75": named["ap75"]}


def binary_dice(mask: Masks, truth: Masks) -> float:
    """Return the Dice coefficient ``2 |A & B| / (|A| + |B|)`` of two masks.

    Args:
        mask: Boolean, any shape.
        truth: Boolean, same shape.

    Returns:
        A value in [0, 1]; 1.0 if both are empty.

    Raises:
        ShapeError: The shapes differ.
    """
    _check_same_shape(mask, truth)
    total = np.count_nonzero(mask) + np.count_nonzero(truth)
    return float(2 * np.count_nonzero(mask & truth) / total) if total else 1.0


def foreground_dice(labels: Labels2D, truth: Labels2D) -> float:
    """Return the Dice coefficient of the foreground: all objects together.

    Args:
        labels: Prediction, ``(height, width)`` integer, 0 is background.
        truth: True labels, same shape; pixels with -1 are not annotated and do not count.

    Returns:
        A value in [0, 1]; 1.0 if neither holds an object.

    Raises:
        ShapeError: The shapes differ.
    """
    return binary_dice((labels > 0) & (truth != IGNORED), truth > 0)


def mean_iou(masks: Masks, truths: Masks) -> float:
    """Return the mean over masks of ``|A & B| / |A | B|``.

    Args:
        masks: Boolean ``(n, height, width)``, n at least 1.
        truths: Boolean, same shape; the n-th truth belongs to the n-th mask.

    Returns:
        A value in [0, 1]; a pair of two empty masks counts 1.0.

    Raises:
        ShapeError: The shapes differ or are not three-dimensional.
        InputError: There is no mask.
    """
    _check_same_shape(masks, truths)
    if masks.ndim != 3:
        raise ShapeError(f"masks must have shape (n, height, width), got {masks.shape}")
    if len(masks) == 0:
        raise InputError("masks: expected at least one mask, got none; skip empty images")
    intersection = np.count_nonzero(masks & truths, axis=(1, 2))
    union = np.count_nonzero(masks | truths, axis=(1, 2))
    return float(np.where(union > 0, intersection / np.maximum(union, 1), 1.0).mean())


def _check_same_shape(found: NDArray[np.generic], truth: NDArray[np.generic]) -> None:
    if found.shape != truth.shape:
        raise ShapeError(
            f"prediction and truth must have the same shape, got {found.shape} and {truth.shape}"
        )
