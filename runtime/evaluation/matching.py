"""Objects that were found matched with the true ones, at ten IoU thresholds.

In: label images. Out: how many objects match at each threshold, for one image or a whole set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.images.label_arrays import IGNORED

IOU_PERCENT = tuple(range(50, 100, 5))
"""The IoU thresholds in percent, so that 0.55 is exact."""

SHOWN_PRECISIONS = ("ap50", "ap75", "ap")
"""Those of ``average_precision`` that tables show."""

_Ints = NDArray[np.signedinteger]


@dataclass(frozen=True)
class Matches:
    """Counts of objects at each of ``IOU_PERCENT``.

    Attributes:
        tp: True positives ``(10,)``: pairs of one predicted and one true object.
        fp: False positives ``(10,)``: predicted objects without partner.
        fn: False negatives ``(10,)``: true objects without partner.
        ious: The largest IoU of each true object with a predicted one, in the order of their ids.
    """

    tp: tuple[int, ...]
    fp: tuple[int, ...]
    fn: tuple[int, ...]
    ious: tuple[float, ...]


def match_objects(labels: Labels2D, truth: Labels2D) -> Matches:
    """Count matches of predicted and true objects at IoU thresholds 0.50, 0.55, ..., 0.95.

    A pair matches if its ``IoU >= t``, each object in at most one pair. Thresholds are compared in
    integers.

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
        The counts, all 0 if both images have no object, and the IoUs.

    Raises:
        ShapeError: The shapes differ.

    Source:
        Caicedo et al., Nature Methods 2019 (Data Science Bowl 2018). What is not annotated: the
        void labels of Kirillov et al., Panoptic Segmentation (CVPR 2019), section 4.2.
    """
    if labels.shape != truth.shape:
        raise ShapeError(
            f"prediction and truth must have the same shape, got {labels.shape} and {truth.shape}"
        )
    labels, unknown = _annotated_part(labels, truth)
    predicted_ids, true_ids, intersection, union, n_predicted, n_true = _overlaps(labels, truth)
    n_predicted -= len(unknown)
    # Positions among the distinct ids, as ``predicted_ids`` are.
    unknown = np.searchsorted(np.unique(labels), unknown) if len(unknown) else unknown
    doubtful = np.isin(predicted_ids, unknown)
    tp, fp, fn = [], [], []
    for percent in IOU_PERCENT:
        enough = intersection * 100 >= union * percent
        found = (
            np.unique(predicted_ids[enough]).size
            + np.unique(true_ids[enough]).size
            - int(enough.sum())
        )
        counted = n_predicted + np.unique(predicted_ids[enough & doubtful]).size
        tp.append(found)
        fp.append(counted - found)
        fn.append(n_true - found)
    ious = np.zeros(n_true)
    background = len(np.unique(truth)) - n_true  # true ids count it, and what is not annotated
    np.maximum.at(ious, true_ids - background, intersection / union)
    return Matches(tuple(tp), tuple(fp), tuple(fn), tuple(ious.tolist()))


def average_precision(matches: Sequence[Matches]) -> dict[str, float]:
    """Return ``TP / (TP + FP + FN)`` at each threshold, counted over all images together.

    It weighs each object the same, where the mean of the segmentation accuracy over images weighs
    each image the same. Of a single image both are equal.

    Args:
        matches: Those of each image.

    Returns:
        ``ap50``, ``ap55``, ..., ``ap95``, and their mean ``ap``, each in [0, 1]; 1 where there is
        neither a true nor a predicted object.

    Source:
        Schmidt et al., Cell Detection with Star-convex Polygons (MICCAI 2018), section 3; the
        ``accuracy`` of StarDist 0.9.2 (``matching_dataset`` with ``by_image=False``), and the
        average precision of Cellpose. It is no area below a curve of precision and recall.
    """
    tp, fp, fn = (
        np.array([getattr(each, name) for each in matches], np.int64).sum(axis=0)
        for name in ("tp", "fp", "fn")
    )
    return named_precisions(precisions(tp, fp, fn))


def precisions(tp: NDArray[Any], fp: NDArray[Any], fn: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``TP / (TP + FP + FN)``, and 1 where there is no object.

    Args:
        tp: True positives, of any shape.
        fp: False positives, likewise.
        fn: False negatives, likewise.
    """
    objects = tp + fp + fn
    return np.where(objects > 0, tp / np.maximum(objects, 1), 1.0)


def named_precisions(values: NDArray[np.float64]) -> dict[str, float]:
    """Name the values at each of ``IOU_PERCENT``, and add their mean ``ap``."""
    named = {f"ap{p}": float(v) for p, v in zip(IOU_PERCENT, values, strict=True)}
    return {**named, "ap": float(values.mean())}


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
