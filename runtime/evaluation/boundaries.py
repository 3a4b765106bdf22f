"""How far outlines lie from the true ones, in pixels.

In: label images. Out: a distance for each true object that was found.
"""

from __future__ import annotations

import numpy as np
from bioimage_cpp.distance import distance_transform

from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.runtime.images.overlay import contours

from .matching import match_objects
from .prompt_simulation import object_boxes

FOUND_FROM = 0.5
"""Least IoU of an object whose outline is compared: a lower one may belong to another object."""


def boundary_errors(labels: Labels2D, truth: Labels2D) -> list[float]:
    """Return the mean distance between the outlines of each found object and of the true one.

    Outlines are the pixels of an object with a 4-neighbour that does not belong to it; the edge of
    the image is no outline. From each pixel of one outline the distance to the nearest pixel of the
    other is taken, both ways, and the mean over the pixels of both.

    Args:
        labels: Prediction, ``(height, width)`` integer, 0 is background.
        truth: True labels, same shape; -1 is not annotated, and taken out of the prediction.

    Returns:
        Pixels, for each true object with an IoU of at least 0.50, in the order of their ids. An
        object without outline, which fills the image, is left out.

    Raises:
        ShapeError: The shapes differ.

    Source:
        The average symmetric surface distance of Heimann et al., IEEE TMI 28(8), 1251-1265 (2009),
        on pixels.
    """
    ious = np.array(match_objects(labels, truth).ious)
    ids = np.unique(truth[truth > 0])[ious >= FOUND_FROM]
    labels = np.where(truth == IGNORED, 0, labels)
    # An IoU of at least 1/2 covers at least half of the true object: its most frequent label.
    true_boxes = object_boxes(truth, ids).astype(int)
    partners = []
    for each, (x0, y0, x1, y1) in zip(ids, true_boxes, strict=True):
        inside = truth[y0:y1, x0:x1] == each
        partners.append(_most_frequent(labels[y0:y1, x0:x1][inside]))
    boxes = object_boxes(labels, partners).astype(int)
    errors = []
    for one, other, true_box, box in zip(ids, partners, true_boxes, boxes, strict=True):
        x0, y0 = np.minimum(true_box[:2], box[:2])
        x1, y1 = np.maximum(true_box[2:], box[2:])
        part = (slice(max(y0 - 1, 0), y1 + 1), slice(max(x0 - 1, 0), x1 + 1))
        outlines = (
            contours((truth[part] == one).astype(np.int32)),
            contours((labels[part] == other).astype(np.int32)),
        )
        if all(outline.any() for outline in outlines):
            errors.append(_mean_distance(*outlines))
    return errors


def _most_frequent(labels: Labels2D) -> int:
    ids, counts = np.unique(labels[labels > 0], return_counts=True)
    return int(ids[counts.argmax()])


def _mean_distance(one: Masks, other: Masks) -> float:
    to_one, to_other = (np.asarray(distance_transform(~outline)) for outline in (one, other))
    distances = np.concatenate([to_one[other], to_other[one]])
    return float(distances.mean())
