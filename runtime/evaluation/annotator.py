"""A simulated annotator who prompts every object of an image and corrects the masks.

In: a model, an image's embeddings and its true labels. Out: the masks after the first prompt and
after the last correction, ready for scoring.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from samzoo.runtime.formats.arrays import Boxes, Labels2D, Masks, Points, Progress
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.runtime.prompts.cutouts import MaskPart, cut_out, paint_parts
from samzoo.runtime.prompts.tokens import POSITIVE

from .comparison import Comparison
from .metrics import binary_dice
from .prompt_simulation import correction_points, object_boxes, object_centers
from .segmenter import Segmenter

BATCH_SIZE = 32
"""Objects prompted at once. Source: micro-sam 1.8.14, ``evaluation/inference.py``."""


class Tally:
    """The masks of all objects of an image, cut out so that thousands fit into memory."""

    def __init__(self, ignored: Masks) -> None:
        """Start without masks.

        Args:
            ignored: ``(height, width)`` boolean; pixels that are not annotated and do not count.
        """
        self._ignored = ignored
        self._parts: list[MaskPart] = []
        self._dices: list[float] = []

    def add(self, masks: Masks, truths: Masks) -> None:
        """Add masks and the true masks, both ``(n, height, width)`` boolean."""
        for mask, truth in zip(masks, truths, strict=True):
            self._parts.append(cut_out(mask))
            self._dices.append(binary_dice(mask & ~self._ignored, truth))

    def comparison(self, truth: Labels2D) -> Comparison:
        """Return the painted masks beside the truth, with the Dice coefficient of each mask."""
        return Comparison(paint_parts(self._parts, truth.shape), truth, self._dices)


@dataclass(frozen=True)
class Tallies:
    """The masks from ``annotate``: of the first prompt, of the last round, and of the boxes.

    ``rounds`` has those after each number of corrections, the first without any, if asked for.
    """

    first: Tally
    last: Tally
    filled: Tally
    rounds: tuple[Tally, ...] = ()


def annotate(
    model: Segmenter,
    embedding: Any,
    truth: Labels2D,
    *,
    first: Literal["point", "box"],
    rounds: int,
    rng: np.random.Generator,
    each_round: bool = False,
    progress: Progress | None = None,
) -> Tallies:
    """Prompt every object and correct its mask ``rounds`` times.

    Args:
        model: The model.
        embedding: From ``model.embed``.
        truth: ``(height, width)`` int32, labels 1 to n without gaps, n at least 1; -1 is not
            annotated, and no correction points there.
        first: The first prompt: each object's innermost pixel or its tight box.
        rounds: Rounds of corrections. Each adds one positive and one negative point to all earlier
            prompts.
        rng: Source of the correction points.
        each_round: Also keep the masks after each round.
        progress: Called with ("objects", done, n).

    Returns:
        The masks after the first prompt, the masks after the last round (without rounds they are
        the same), and the filled boxes.
    """
    ids = np.arange(1, int(truth.max()) + 1)
    centers, boxes = object_centers(truth, ids), object_boxes(truth, ids)
    ignored = truth == IGNORED
    between = tuple(Tally(ignored) for _ in range(rounds - 1)) if each_round and rounds else ()
    tallies = Tallies(Tally(ignored), Tally(ignored), Tally(ignored))
    if each_round and rounds:
        tallies = replace(tallies, rounds=(tallies.first, *between, tallies.last))
    for start in range(0, len(ids), BATCH_SIZE):
        batch = slice(start, start + BATCH_SIZE)
        truths = truth[np.newaxis] == ids[batch, np.newaxis, np.newaxis]
        points = centers[batch, np.newaxis]
        if first == "point":
            prompts = _Prompts(points, boxes=None)
        else:
            prompts = _Prompts(points[:, :0], boxes=boxes[batch])
        masks = prompts.run(model, embedding)
        tallies.first.add(masks, truths)
        tallies.filled.add(filled_boxes(boxes[batch], truth.shape), truths)
        for number in range(rounds):
            prompts.correct(truths, masks, ignored, rng)
            masks = prompts.run(model, embedding)
            if number < len(between):
                between[number].add(masks, truths)
        tallies.last.add(masks, truths)
        if progress is not None:
            progress("objects", min(start + BATCH_SIZE, len(ids)), len(ids))
    return tallies


def filled_boxes(boxes: Boxes, shape: tuple[int, ...]) -> Masks:
    """Return each box as a mask.

    Args:
        boxes: ``(n, 4)`` XYXY with whole numbers, the last row and column not included.
        shape: (height, width).

    Returns:
        ``(n, height, width)`` boolean.
    """
    masks = np.zeros((len(boxes), *shape), dtype=bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes.astype(int), strict=True):
        mask[y0:y1, x0:x1] = True
    return masks


class _Prompts:
    """The prompts of a batch of objects; each round of corrections adds to them."""

    def __init__(self, points: Points, *, boxes: Boxes | None) -> None:
        self.points = points
        self.point_labels = np.full(points.shape[:2], POSITIVE, dtype=np.int32)
        self.boxes = boxes

    def run(self, model: Segmenter, embedding: Any) -> Masks:
        has_points = self.points.shape[1] > 0
        masks, _, _ = model.prompt(
            embedding,
            points=self.points if has_points else None,
            point_labels=self.point_labels if has_points else None,
            boxes=self.boxes,
        )
        return masks

    def correct(
        self, truths: Masks, masks: Masks, ignored: Masks, rng: np.random.Generator
    ) -> None:
        drawn = [
            correction_points(truth, mask, rng, ignored=ignored)
            for truth, mask in zip(truths, masks, strict=True)
        ]
        points = np.stack([point_pair for point_pair, _ in drawn])
        labels = np.stack([label_pair for _, label_pair in drawn])
        self.points = np.concatenate([self.points, points], axis=1)
        self.point_labels = np.concatenate([self.point_labels, labels], axis=1)
