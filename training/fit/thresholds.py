"""The search for the best AIS thresholds on validation images.

In: AIS maps and true labels. Out: the ``AisParameters`` with the best mean mSA.

The placement of tiles decides what the network sees around an object. Thresholds found at one
placement may join neighbouring objects at another. So a tiled image is segmented at several
placements, and the thresholds must suit all of them (measured: ``benchmarks/README.md``, "Images
of any size").

Source of the grid: Teuber et al., PEFT-SAM (MIDL 2025), released code: centre and boundary
thresholds 0.3 to 0.7, smoothing 1.0 to 2.0. Its sizes 50, 100 and 200 suit larger cells; here the
sizes follow the smallest true object (own choice).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from itertools import product

import numpy as np

from samzoo.runtime.automatic.ais import remove_small, segment_from_maps
from samzoo.runtime.engine.object_scale import enlarged
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D, Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.label_arrays import IGNORED, object_areas

THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
SMOOTHINGS = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0)

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
    progress: Progress | None = None,
) -> tuple[AisParameters, float]:
    """Try the whole grid and return the best; on ties, the nearest to ``start``.

    Args:
        maps: AIS maps ``(3, height, width)`` of each image.
        truths: Labels ``(height, width)`` of each image, at least one with an object; -1 is not
            annotated. An image without objects scores 1 if nothing is found there, else 0.
        start: Parameters that are not searched keep these values.
        factors: How much larger each image's objects are than at the model's scale: thresholds in
            pixels are enlarged by it. All 1 by default.
        progress: Called with ("thresholds", tried, in all).

    Returns:
        The parameters and their mean mSA.
    """
    factors = [1.0] * len(maps) if factors is None else factors
    smallest = min(
        int(areas.min() / factor**2)
        for t, factor in zip(truths, factors, strict=True)
        if len(areas := object_areas(t))
    )
    sizes = sorted({start.min_size, smallest // 2})
    grid = [
        dataclasses.replace(
            start,
            center_distance_threshold=center,
            boundary_distance_threshold=boundary,
            distance_smoothing=smoothing,
            min_size=size,
        )
        for center, boundary, smoothing, size in product(THRESHOLDS, THRESHOLDS, SMOOTHINGS, sizes)
    ]
    grid.sort(key=lambda parameters: _distance(parameters, start))
    best, best_score = start, -1.0
    for index, parameters in enumerate(grid):
        score = float(
            np.mean([
                mean_segmentation_accuracy(
                    segment_from_maps(*m, parameters=enlarged(parameters, factor)), t
                )["msa"]
                for m, t, factor in zip(maps, truths, factors, strict=True)
            ])
        )  # fmt: skip
        if score > best_score:
            best, best_score = parameters, score
        if progress is not None:
            progress("thresholds", index + 1, len(grid))
    return best, best_score


def _distance(a: AisParameters, b: AisParameters) -> float:
    return (
        abs(a.center_distance_threshold - b.center_distance_threshold)
        + abs(a.boundary_distance_threshold - b.boundary_distance_threshold)
        + abs(a.distance_smoothing - b.distance_smoothing)
        + (a.min_size != b.min_size)
    )
