"""How much the automatic segmentation depends on how an image lies: its scores in eight views.

In: a model, an image and its truth. Out: comparisons in each view, and the scores of a set in each.
A model that has learned what objects look like answers alike; a mirrored field has the same cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.labels.views import eight_views

from .comparison import METRICS, Comparison, scores_of
from .matching import SHOWN_PRECISIONS, average_precision
from .report import ImageScores, Scores, ViewScores, counted_rows, matches_in_json, matches_of
from .segmenter import Segmenter


def turned_scores(
    model: Segmenter, image: Array, truth: Labels2D, upright: Comparison
) -> list[ViewScores]:
    """Segment an image turned and mirrored in all ways, and compare with the truth likewise.

    Args:
        model: The model; it segments seven times.
        image: ``(height, width)`` or ``(height, width, 3)``.
        truth: ``(height, width)``; -1 is not annotated.
        upright: The comparison of the image as it is.

    Returns:
        Scores in the order of ``eight_views``, the image as it is first.
    """
    turned = islice(zip(eight_views(image), eight_views(truth), strict=True), 1, None)
    compared = [upright] + [
        Comparison(model.segment(np.ascontiguousarray(view)), np.ascontiguousarray(true))
        for view, true in turned
    ]
    return [
        ViewScores(scores=scores_of(each), matches=matches_in_json(each.matches))
        for each in compared
    ]


def orientation_scores(rows: Sequence[ImageScores]) -> Scores:
    """Return how the scores of a set change with the orientation of its images.

    Args:
        rows: Those of a report, with ``orientations``.

    Returns:
        By metric: ``mean``, ``low`` and ``high`` over the eight scores of the set, of which each
        has all images in one orientation; and for the means over images ``spread``, the range over
        the eight of one image, as a mean over images. Empty without ``orientations``.
    """
    if not rows[0]["orientations"]:
        return {}
    counted = counted_rows(rows)
    found: Scores = {}
    for metric in METRICS:
        values = np.array(
            [[view["scores"][metric] for view in row["orientations"]] for row in counted]
        )
        found[metric] = {**_range(values.mean(axis=0)), "spread": float(np.ptp(values, 1).mean())}
    precisions = [
        average_precision([matches_of(row["orientations"][view]["matches"]) for row in rows])
        for view in range(len(rows[0]["orientations"]))
    ]
    for name in SHOWN_PRECISIONS:
        found[name] = _range(np.array([each[name] for each in precisions]))
    return found


def _range(values: Array) -> dict[str, float]:
    return {"mean": float(values.mean()), "low": float(values.min()), "high": float(values.max())}
