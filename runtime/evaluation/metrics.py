"""Metrics of how well labels and masks agree with the truth.

In: label images or boolean masks. Out: numbers in [0, 1].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.images.label_arrays import IGNORED

IOU_PERCENT = tuple(range(50, 100, 5))
"""IoU thresholds of the mean segmentation accuracy, in percent, so that 0.55 is exact."""


def mean_segmentation_accuracy(labels: Labels2D, truth: Labels2D) -> dict[str, float]:
    """Compare instance labels with the truth at IoU thresholds 0.50, 0.55, ..., 0.95.

    ``SA(t) = TP / (TP + FP + FN)``, where TP counts pairs of one predicted and one true object
    with ``IoU >= t``, each object in at most one pair. Thresholds are compared in integers.

    No assignment problem has to be solved. If ``IoU >= 1/2``, T covers ``|P & T| >= |P | T| / 2 >=
    |P| / 2`` of a prediction P. True objects do not overlap, so a second one pairs with P only if
    both inequalities are equalities for both: then ``|P | T| = |P|``, and each T lies inside P and
    is half of it. Such a T meets no other prediction. Hence there are single pairs, and objects
    with two halves (P and T may swap roles), which occur only at an IoU of exactly 1/2. Both kinds
    allow one match, and for both (distinct predictions + distinct true objects - pairs) = 1. The
    function sums this expression.

    Pixels that are not annotated are taken out of the prediction, and IoUs are those of the rest.
    A predicted object that lies mostly in such pixels counts only if it matches a true one:
    nobody knows whether it is wrong.

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
        so that an IoU of exactly 0.6 misses ``0.6000000000000001``. What is not annotated: the
        void labels of Kirillov et al., Panoptic Segmentation (CVPR 2019), section 4.2.
    """
    _check_same_shape(labels, truth)
    labels, unknown = _annotated_part(labels, truth)
    predicted_ids, true_ids, intersection, union, n_predicted, n_true = _overlaps(labels, truth)
    n_predicted -= len(unknown)
    # Positions among the distinct ids, as ``predicted_ids`` are.
    unknown = np.searchsorted(np.unique(labels), unknown) if len(unknown) else unknown
    doubtful = np.isin(predicted_ids, unknown)
    accuracies = {}
    for percent in IOU_PERCENT:
        enough = intersection * 100 >= union * percent
        true_positives = (
            np.unique(predicted_ids[enough]).size
            + np.unique(true_ids[enough]).size
            - int(enough.sum())
        )
        matched_unknown = np.unique(predicted_ids[enough & doubtful]).size
        objects = n_predicted + matched_unknown + n_true - true_positives
        accuracies[percent] = true_positives / objects if objects else 1.0
    return {
        "msa": sum(accuracies.values()) / len(accuracies),
        "sa50": accuracies[50],
        "sa75": accuracies[75],
    }


_Ints = NDArray[np.signedinteger]


def _annotated_part(labels: Labels2D, truth: Labels2D) -> tuple[Labels2D, NDArray[np.integer[Any]]]:
    """Clear what is not annotated, and return the ids that lost more than half but not all."""
    left_out = truth == IGNORED
    if not left_out.any():
        return labels, np.zeros(0, np.int32)
    kept = np.where(left_out, 0, labels)
    ids, before = np.unique(labels, return_counts=True)
    remaining, after = np.unique(kept, return_counts=True)
    sizes = before[np.searchsorted(ids, remaining[remaining > 0])]
    mostly = 2 * after[remaining > 0] < sizes
    return kept, remaining[remaining > 0][mostly]


def _overlaps(labels: Labels2D, truth: Labels2D) -> tuple[_Ints, _Ints, _Ints, _Ints, int, int]:
    """Return both ids, intersection and union of all overlapping pairs, and both object counts."""
    predicted_ids, predicted, predicted_sizes = _numbered(labels)
    true_ids, true, true_sizes = _numbered(truth)
    both = (labels.ravel() > 0) & (truth.ravel() > 0)
    pair_keys = predicted[both].astype(np.int64) * len(true_ids) + true[both]
    keys, intersection = np.unique(pair_keys, return_counts=True)
    rows, columns = np.divmod(keys, max(len(true_ids), 1))
    union = predicted_sizes[rows] + true_sizes[columns] - intersection
    return (
        rows, columns, intersection, union,
        int((predicted_ids > 0).sum()), int((true_ids > 0).sum()),
    )  # fmt: skip


def _numbered(labels: Labels2D) -> tuple[_Ints, _Ints, _Ints]:
    """Return the distinct ids, each pixel's position among them (flat), and their sizes."""
    ids, positions, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    return ids, positions.ravel(), sizes


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
