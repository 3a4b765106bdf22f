"""Non-maximum suppression: among masks that show the same object only the best is kept.

In: boxes or masks, with scores. Out: indices of those kept, the best first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Boxes

from .candidates import Candidate

EPSILON = 1e-6
"""Added to the smaller area before dividing by it. Source: micro-sam 1.8.14, ``util.py``."""


def suppress_boxes(boxes: Boxes, scores: NDArray[np.float32], threshold: float) -> list[int]:
    """Drop every box that overlaps a better one too much.

    Args:
        boxes: ``(n, 4)`` XYXY.
        scores: ``(n,)``; the earlier of two equal scores is better.
        threshold: Boxes with an IoU above it show the same object.

    Returns:
        Indices of the boxes kept, the best first.

    Source:
        Equals torchvision's ``nms``, which computes in float32.
    """
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        others = boxes[order]
        width = np.minimum(others[:, 2], boxes[best, 2]) - np.maximum(others[:, 0], boxes[best, 0])
        height = np.minimum(others[:, 3], boxes[best, 3]) - np.maximum(others[:, 1], boxes[best, 1])
        shared = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(invalid="ignore"):  # two boxes without area do not drop each other
            iou = shared / (areas[order] + areas[best] - shared)
        order = order[~(iou.astype(np.float64) > threshold)]
    return kept


def suppress_masks(
    candidates: Sequence[Candidate],
    scores: NDArray[np.float32],
    threshold: float,
    *,
    intersection_over_min: bool = False,
) -> list[int]:
    """Drop every mask that overlaps a better one too much.

    Args:
        candidates: The masks.
        scores: ``(n,)``; the earlier of two equal scores is better.
        threshold: Masks with an IoU above it show the same object.
        intersection_over_min: Divide the intersection by the smaller area instead of the union,
            which also drops a mask inside a better one.

    Returns:
        Indices of the masks kept, the best first.

    Source:
        micro-sam 1.8.14, ``util._batched_mask_nms``.
    """
    boxes = np.array([one.box for one in candidates], np.int64).reshape(-1, 4)
    order = np.argsort(-scores, kind="stable")
    kept = []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(int(best))
        mine, others = boxes[best], boxes[order]
        # Strictly, although boxes include their last pixels: micro-sam treats masks that share
        # only one row or column as apart.
        near = (
            (np.minimum(others[:, 2], mine[2]) > np.maximum(others[:, 0], mine[0]))
            & (np.minimum(others[:, 3], mine[3]) > np.maximum(others[:, 1], mine[1]))
        )  # fmt: skip
        keep = np.ones(len(order), np.bool_)
        for i in np.flatnonzero(near):
            overlap = _overlap(candidates[best], candidates[order[i]], intersection_over_min)
            keep[i] = overlap <= threshold
        order = order[keep]
    return kept


def _overlap(a: Candidate, b: Candidate, intersection_over_min: bool) -> np.float32:
    top, left = max(a.row, b.row), max(a.column, b.column)
    bottom = min(a.row + a.shape[0], b.row + b.shape[0])
    right = min(a.column + a.shape[1], b.column + b.shape[1])
    parts = [
        one.mask[top - one.row : bottom - one.row, left - one.column : right - one.column]
        for one in (a, b)
    ]
    shared = int(np.count_nonzero(parts[0] & parts[1]))
    if intersection_over_min:
        return np.float32(shared) / np.float32(min(a.area, b.area) + EPSILON)
    return np.float32(shared) / np.float32(a.area + b.area - shared)
