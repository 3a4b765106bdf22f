"""The search for the best AIS thresholds on validation images.

In: AIS maps and true labels. Out: the ``AisParameters`` with the best mean mSA.

The placement of tiles decides what the network sees around an object. Thresholds found at one
placement may join neighbouring objects at another. So a tiled image is segmented at several
placements, and the thresholds must suit all of them (measured: ``benchmarks/README.md``, "Images
of any size").

The search goes from coarse to fine. A coarse grid of the distance thresholds and the smoothing,
which depend on each other, is tried on one placement of each image. From the best, small steps
follow on all placements, one threshold at a time, for as long as they help.

Source of the values: Teuber et al., PEFT-SAM (MIDL 2025), released code: centre and boundary
thresholds 0.3 to 0.7, smoothing 1.0 to 2.0, each combination. Own choices: the wider ranges, since
small or touching objects want less smoothing and a boundary threshold above 0.7; the foreground
threshold; and the sizes, which follow the smallest true object (the paper's 50, 100 and 200 suit
larger cells).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from samzoo.runtime.automatic.ais import remove_small, segment_from_maps
from samzoo.runtime.engine.object_scale import enlarged
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D, Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.label_arrays import IGNORED, object_areas

CENTERS = (0.3, 0.4, 0.5, 0.6, 0.7)
BOUNDARIES = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SMOOTHINGS = (0.0, 0.4, 0.8, 1.2, 1.6, 2.0)
FOREGROUNDS = (0.3, 0.4, 0.5, 0.6, 0.7)
"""The values of each threshold; the coarse grid takes every other one."""

MOST_SWEEPS = 3
"""Times that the fine search goes over all thresholds (own choice)."""

SHIFTS = ((0, 0), (1 / 6, 1 / 3), (1 / 3, 1 / 6), (1 / 12, 1 / 4))
"""The placements: what is cut off at the top and the left, as a fraction of the model's field of
view, so that tiles lie at other places of the rest (own choice)."""


def placements(
    image: Array, labels: Labels2D, *, field: int, min_size: int
) -> list[tuple[Array, Labels2D]]:
    """Cut an image so that a model's tiles lie at several places in it.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.
        labels: ``(height, width)``; -1 is not annotated.
        field: Side in image pixels of what the encoder sees at once.
        min_size: Least size in pixels; smaller objects, and smaller rests of cut ones, do not
            count.

    Returns:
        Image and labels of each placement that has objects, or all if the image has none. An image
        that fits into the field has one placement, another has those of ``SHIFTS``.
    """
    tiled = np.array(labels.shape) > field
    cuts = {tuple(np.rint(np.array(shift) * field * tiled).astype(int)) for shift in SHIFTS}
    views = [
        (image[top:, left:], _without_small(labels[top:, left:], min_size))
        for top, left in sorted(cuts)
    ]
    empty = not (labels > 0).any()
    return [(image, labels) for image, labels in views if empty or (labels > 0).any()]


def _without_small(labels: Labels2D, min_size: int) -> Labels2D:
    large = remove_small(np.maximum(labels, 0), min_size)
    return np.where(labels == IGNORED, IGNORED, large)


def search_thresholds(
    maps: Sequence[Float3D],
    truths: Sequence[Labels2D],
    start: AisParameters,
    *,
    factors: Sequence[float] | None = None,
    coarse: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> tuple[AisParameters, float]:
    """Search from coarse to fine and return the best; on ties, the nearest to ``start``.

    Args:
        maps: AIS maps ``(3, height, width)`` of each image.
        truths: Labels ``(height, width)`` of each image, at least one with an object; -1 is not
            annotated. An image without objects scores 1 if nothing is found there, else 0.
        start: Parameters that are not searched keep these values. What is found is never worse.
        factors: How much larger each image's objects are than at the model's scale: thresholds in
            pixels are enlarged by it. All 1 by default.
        coarse: Which of the images the coarse pass uses; all by default.
        progress: Called with ("thresholds", tried, at most); the last step may be a leap, because
            how many are tried is not known before.

    Returns:
        The parameters and their mean mSA over all images.
    """
    factors = [1.0] * len(maps) if factors is None else factors
    smallest = min(
        int(areas.min() / factor**2)
        for t, factor in zip(truths, factors, strict=True)
        if len(areas := object_areas(t))
    )
    axes: dict[str, Sequence[Any]] = {
        "center_distance_threshold": CENTERS,
        "boundary_distance_threshold": BOUNDARIES,
        "distance_smoothing": SMOOTHINGS,
        "foreground_threshold": FOREGROUNDS,
        "min_size": sorted({start.min_size, smallest // 2}),
    }
    triples: list[tuple[Any, ...]] = list(product(CENTERS[::2], BOUNDARIES[::2], SMOOTHINGS[::2]))
    alone: dict[str, Sequence[Any]] = {
        "foreground_threshold": FOREGROUNDS[::2],
        "min_size": axes["min_size"],
    }
    most = 1 + len(triples) + sum(map(len, alone.values()))
    most += 2 + 2 * MOST_SWEEPS * (len(axes) + 1)
    tried = 0

    def mean_score(parameters: AisParameters, used: Sequence[int]) -> float:
        nonlocal tried
        tried += 1
        scores = [_score(maps[i], truths[i], parameters, factors[i]) for i in used]
        if progress is not None:
            progress("thresholds", min(tried, most), most)
        return float(np.mean(scores))

    first = range(len(maps)) if coarse is None else coarse
    trials = _Trials(partial(mean_score, used=first))
    # Under a foreground threshold that hides all objects, no other threshold matters.
    for foreground in sorted(
        {start.foreground_threshold, *FOREGROUNDS[::2]},
        key=lambda v: (abs(v - start.foreground_threshold), v),
    ):
        common = dataclasses.replace(start, foreground_threshold=foreground)
        grid = [dataclasses.replace(common, **dict(zip(axes, v, strict=False))) for v in triples]
        best = trials.best([start, *sorted(grid, key=partial(_distance, start))])
        if trials.scores[best] > 0:
            break
    for name, values in alone.items():
        best = trials.best([best, *(dataclasses.replace(best, **{name: v}) for v in values)])
    if len(first) < len(maps):
        trials = _Trials(partial(mean_score, used=range(len(maps))))
    best = trials.best([start, best])
    for _ in range(MOST_SWEEPS):
        before = best
        for names in (*((name,) for name in axes), DISTANCES):
            best = trials.best([best, *_neighbours(best, axes, names)])
        if best == before:
            break
    if progress is not None:
        progress("thresholds", most, most)
    return best, trials.scores[best]


DISTANCES = ("center_distance_threshold", "boundary_distance_threshold")
"""Thresholds that also move together: a seed lies below both, so that one alone may change nothing.
"""


class _Trials:
    """Parameters that were tried on the same images, each once.

    Args:
        score: Gives the score of parameters.

    Attributes:
        scores: What was found.
    """

    def __init__(self, score: Callable[[AisParameters], float]) -> None:
        self._score = score
        self.scores: dict[AisParameters, float] = {}

    def best(self, candidates: Sequence[AisParameters]) -> AisParameters:
        """Return the best candidate; on ties the first."""
        for parameters in candidates:
            if parameters not in self.scores:
                self.scores[parameters] = self._score(parameters)
        return max(candidates, key=self.scores.__getitem__)


def _neighbours(
    parameters: AisParameters, axes: Mapping[str, Sequence[Any]], names: Sequence[str]
) -> list[AisParameters]:
    """Return the parameters with the next smaller and the next larger value of some of them."""
    smaller: dict[str, Any] = {}
    larger: dict[str, Any] = {}
    for name in names:
        value = getattr(parameters, name)
        smaller[name] = max((v for v in axes[name] if v < value), default=value)
        larger[name] = min((v for v in axes[name] if v > value), default=value)
    return [dataclasses.replace(parameters, **values) for values in (smaller, larger)]


def _score(maps: Float3D, truth: Labels2D, parameters: AisParameters, factor: float) -> float:
    found = segment_from_maps(*maps, parameters=enlarged(parameters, factor))
    return mean_segmentation_accuracy(found, truth)["msa"]


def _distance(a: AisParameters, b: AisParameters) -> float:
    return (
        abs(a.center_distance_threshold - b.center_distance_threshold)
        + abs(a.boundary_distance_threshold - b.boundary_distance_threshold)
        + abs(a.distance_smoothing - b.distance_smoothing)
    )
