"""The prompts that training simulates: first prompts, corrections, and which rounds learn.

In: a crop's labels and the objects to learn. Out: boxes and points for all objects at once.
``objectives.py`` prompts the model with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.evaluation.prompt_simulation import (
    correction_points,
    object_boxes,
    random_points,
)
from samzoo.runtime.formats.arrays import Labels2D, Masks
from samzoo.runtime.images.label_arrays import IGNORED

CORRECTION_DILATION = 10
"""Least distance in pixels of negative points from the object. Source: micro-sam 1.8.14,
training."""

NEGATIVE_SHARE = 0.3
"""Probability that a further point of a first prompt is negative (own choice)."""

FirstPrompts = tuple[NDArray[np.float32] | None, NDArray[np.float32], NDArray[np.float32]]
"""Boxes ``(n, 4)`` XYXY or None, points ``(n, k, 2)`` (x, y), and their labels ``(n, k)``."""


@dataclass(frozen=True)
class InteractiveSettings:
    """The settings of the interactive objective; see ``TrainConfig``."""

    n_sub_iteration: int
    mask_prob: float
    box_distortion_factor: float
    learned_rounds: int = 0
    first_points: int = 1


def learned_rounds(settings: InteractiveSettings, rng: np.random.Generator) -> set[int]:
    """Draw the rounds of a step that compute gradients; all without ``learned_rounds``.

    The last round always counts: an annotator keeps its mask, and it is the hardest to learn.
    """
    rounds, count = settings.n_sub_iteration, settings.learned_rounds
    if not 0 < count < rounds:
        return set(range(rounds))
    ends = {0, rounds - 1} if count > 1 else {0}
    between = 1 + rng.choice(rounds - 2, size=count - len(ends), replace=False)
    return ends | {int(i) for i in between}


def first_prompts(
    labels: Labels2D,
    ids: list[int],
    settings: InteractiveSettings,
    rng: np.random.Generator,
    *,
    with_box: bool,
) -> FirstPrompts:
    """Draw the first prompts of objects: points alone, or a box, perhaps with points.

    A model that has only seen single points gives worse masks for two: its tokens attend to each
    other. So ``first_points`` prompts with 1 to so many points, or with a box and one point fewer.
    The number is the same for all objects, because padding is a token too. The first point of a
    prompt without a box lies in the object; of the others a share is negative, next to it.

    Args:
        labels: ``(height, width)`` of the crop; -1 is not annotated.
        ids: The objects, n.
        settings: ``box_distortion_factor`` and ``first_points``.
        rng: Source of all random choices.
        with_box: Draw a box for each object.

    Returns:
        Boxes, points and labels.
    """
    boxes: NDArray[np.float32] | None = None
    if with_box:
        boxes = distorted_boxes(
            object_boxes(labels, ids), settings.box_distortion_factor, labels.shape, rng
        )
        coords = np.zeros((len(ids), 0, 2), np.float32)
    else:
        points = np.stack([random_points(labels == i, 1, rng) for i in ids])
        coords = points.astype(np.float32)
    point_labels = np.ones(coords.shape[:2], np.float32)
    further = int(rng.integers(settings.first_points)) if settings.first_points > 1 else 0
    ignored = labels == IGNORED
    for _ in range(further):
        drawn = [_further_point(labels == i, ignored, rng) for i in ids]
        added = np.stack([point for point, _ in drawn])[:, np.newaxis]
        coords = np.concatenate([coords, added.astype(np.float32)], axis=1)
        added_labels = np.array([[label] for _, label in drawn], np.float32)
        point_labels = np.concatenate([point_labels, added_labels], axis=1)
    return boxes, coords, point_labels


def _further_point(
    truth: Masks, ignored: Masks, rng: np.random.Generator
) -> tuple[NDArray[np.float32], int]:
    points, kinds = correction_points(truth, truth, rng, ignored=ignored)
    chosen = int(rng.random() < NEGATIVE_SHARE and kinds[1] == 0)
    return points[chosen], int(kinds[chosen])


def distorted_boxes(
    boxes: NDArray[np.float32],
    factor: float,
    shape: tuple[int, ...],
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Move each corner by up to ``factor`` of the box's side, inside the image.

    Args:
        boxes: ``(n, 4)`` XYXY.
        factor: Largest shift as a fraction of width and height.
        shape: (height, width) of the image.
        rng: Source of the shifts.

    Returns:
        ``(n, 4)`` float32.
    """
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    moved = boxes + rng.uniform(-factor, factor, boxes.shape) * sides
    limit = np.array([shape[1], shape[0]] * 2, np.float32)
    return np.clip(moved, 0, limit).astype(np.float32)


def corrections(
    truths: Masks, masks: Masks, ignored: Masks, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a positive and a negative point for each object where its mask is wrong.

    Args:
        truths: ``(n, height, width)`` boolean.
        masks: Same shape, the masks so far.
        ignored: ``(height, width)`` boolean; no point lies there.
        rng: Source of all random choices.

    Returns:
        Points ``(n, 2, 2)`` (x, y) and labels ``(n, 2)``, see ``correction_points``.
    """
    pairs = [
        correction_points(truth, mask, rng, CORRECTION_DILATION, ignored=ignored)
        for truth, mask in zip(truths, masks, strict=True)
    ]
    coords = np.stack([pair[0] for pair in pairs]).astype(np.float32)
    return coords, np.stack([pair[1] for pair in pairs]).astype(np.float32)
