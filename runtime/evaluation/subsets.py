"""Scores of parts of a set: of each kind of image, and of each class of objects.

In: the rows of a report. Out: the same scores by stratum, and what was found of each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np

from .intervals import group_numbers, score_intervals
from .report import ImageScores, Intervals, Scores, mean_scores, precision_scores

FOUND = {"found50": 0.5, "found75": 0.75}
"""Scores of a class, and the IoU from which an object counts as found."""


class StratumScores(TypedDict):
    """The scores of a kind of image; see ``Report``."""

    n_images: int
    n_groups: int
    n_objects: int
    mean: Scores
    ap: Scores
    intervals: Intervals


class ClassScores(TypedDict):
    """What was found of a class: by task the share of ``FOUND``, and ``iou``."""

    n_images: int
    n_objects: int
    found: Scores


def by_stratum(rows: Sequence[ImageScores]) -> dict[str, StratumScores]:
    """Return the scores of each stratum, in alphabetical order.

    Args:
        rows: Those of a report.

    Returns:
        By stratum; empty if no row names one. Rows without stratum stand under an empty name.
    """
    names = sorted({row["stratum"] for row in rows})
    if names == [""]:
        return {}
    found = {}
    for name in names:
        own = [row for row in rows if row["stratum"] == name]
        found[name] = StratumScores(
            n_images=len(own), n_groups=group_numbers(own)[1],
            n_objects=sum(row["n_objects"] for row in own), mean=mean_scores(own),
            ap=precision_scores(own), intervals=score_intervals(own),
        )  # fmt: skip
    return found


def by_class(rows: Sequence[ImageScores]) -> dict[str, ClassScores]:
    """Return what was found of each class of objects, in alphabetical order.

    Predictions have no class, so that there are no false positives of a class: the scores are
    ``found50`` and ``found75``, the share of its true objects that a prediction fits with an IoU of
    at least 0.50 or 0.75, and ``iou``, the mean over its true objects of the largest IoU.

    Args:
        rows: Those of a report; the classes of a row are in the order of its objects.

    Returns:
        By class; empty if no row names classes.
    """
    found: dict[str, ClassScores] = {}
    for name in sorted({each for row in rows for each in row["classes"]}):
        own = [row for row in rows if name in row["classes"]]
        scores: Scores = {}
        for task in own[0]["matches"]:
            ious = np.array(
                [
                    iou
                    for row in own
                    for iou, each in zip(row["matches"][task]["ious"], row["classes"], strict=True)
                    if each == name
                ]
            )
            shares = {key: float((ious >= least).mean()) for key, least in FOUND.items()}
            scores[task] = {**shares, "iou": float(ious.mean())}
        count = sum(row["classes"].count(name) for row in own)
        found[name] = ClassScores(n_images=len(own), n_objects=count, found=scores)
    return found
