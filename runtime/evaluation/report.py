"""What a report says: the rows of images, and the scores of all of them together.

In: rows. Out: means, average precision, and what was found where there is nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, TypedDict

import numpy as np

from .comparison import METRICS
from .matching import SHOWN_PRECISIONS, Matches, average_precision

Scores = dict[str, dict[str, float]]
"""Values by task, then by metric."""

Intervals = dict[str, dict[str, list[float]]]
"""Both ends of an interval, by task, then by metric."""


Rounds = dict[str, list[dict[str, float]]]
"""Values by task, then a dict by metric for each number of corrections, the first without any."""


class ViewScores(TypedDict):
    """The scores of an image in one of eight orientations."""

    scores: dict[str, float]
    matches: dict[str, Sequence[float]]


class ImageScores(TypedDict):
    """One row of a report.

    ``content`` is from ``content_identity``. ``group`` and ``stratum`` are empty if unknown, and
    ``classes``, in the order of the objects, too. ``matches`` has the counts of ``Matches`` for
    each task, ``boundary_errors`` a distance in pixels for each object that was found,
    ``orientations`` eight scores of the task ``ais`` if they were asked for, ``corrections`` the
    scores of ``ip`` and ``ib`` after each number of corrections.
    """

    image: str
    labels: str
    content: str
    group: str
    stratum: str
    classes: list[str]
    n_objects: int
    n_removed: int
    scores: Scores
    matches: dict[str, dict[str, Sequence[float]]]
    boundary_errors: dict[str, list[float]]
    orientations: list[ViewScores]
    corrections: Rounds


class LeftOutPair(TypedDict):
    """An image with labels that could not be used, and why."""

    image: str
    labels: str
    message: str


class Negatives(TypedDict):
    """Images without objects: how many, and in how many of them something was found."""

    images: int
    with_false_objects: int


def matches_in_json(matches: Matches) -> dict[str, Sequence[float]]:
    """Return counts and IoUs for JSON."""
    return {name: list(values) for name, values in asdict(matches).items()}


def counted_rows(rows: Sequence[ImageScores]) -> Sequence[ImageScores]:
    """Return the rows that enter the means: those with objects, or all if none has any."""
    return [row for row in rows if row["n_objects"]] or rows


def mean_scores(rows: Sequence[ImageScores]) -> Scores:
    """Return the mean of each metric over images, each of which weighs the same."""
    counted = counted_rows(rows)
    return {
        task: {
            metric: float(np.mean([row["scores"][task][metric] for row in counted]))
            for metric in METRICS
        }
        for task in counted[0]["scores"]
    }


def mean_corrections(rows: Sequence[ImageScores]) -> Rounds:
    """Return the mean of each metric over images, after each number of corrections."""
    counted = counted_rows(rows)
    found: Rounds = {}
    for task, rounds in counted[0]["corrections"].items():
        values = [row["corrections"][task] for row in counted]
        found[task] = [
            {name: float(np.mean([each[number][name] for each in values])) for name in METRICS}
            for number in range(len(rounds))
        ]
    return found


def precision_scores(rows: Sequence[ImageScores]) -> Scores:
    """Return the average precision of each task over all images, also of those without objects.

    An object that is found in an image without any is a false positive.
    """
    return {
        task: average_precision(
            [matches_of(row["matches"][task]) for row in rows if task in row["matches"]]
        )
        for task in counted_rows(rows)[0]["scores"]
    }  # fmt: skip


def mean_boundary_errors(rows: Sequence[ImageScores]) -> dict[str, float | None]:
    """Return the mean over all found objects, in pixels, by task; None where none was found."""
    found = {}
    for task in counted_rows(rows)[0]["scores"]:
        errors = [error for row in rows for error in row["boundary_errors"].get(task, [])]
        found[task] = float(np.mean(errors)) if errors else None
    return found


def merged_scores(mean: Scores, ap: Scores) -> Scores:
    """Return means and average precision in one table, as cards hold them."""
    return {
        task: {**scores, **{name: ap[task][name] for name in SHOWN_PRECISIONS}}
        for task, scores in mean.items()
    }


def matches_of(found: Mapping[str, Sequence[float]]) -> Matches:
    """Return counts and IoUs from JSON again."""
    plain: Any = {name: tuple(values) for name, values in found.items()}
    return Matches(**plain)


def negatives(rows: Sequence[ImageScores]) -> Negatives:
    """Count images without objects."""
    empty = [row for row in rows if not row["n_objects"]]
    found = [row for row in empty if row["scores"].get("ais", {"msa": 1.0})["msa"] < 1.0]
    return Negatives(images=len(empty), with_false_objects=len(found))


def about_negatives(found: Negatives, n_images: int) -> str:
    """Say how many images hold no object, and what that means for the scores.

    Args:
        found: From ``negatives``; at least one image.
        n_images: Number of all images.
    """
    count, wrong = found["images"], found["with_false_objects"]
    counted = (
        "so the scores are those of empty images"
        if count == n_images
        else "these stay out of the means"
    )
    return (
        f"{count} of {n_images} images hold no object; {counted}. The automatic segmentation found "
        f"something in {wrong} of them"
    )
