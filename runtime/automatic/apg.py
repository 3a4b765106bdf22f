"""APG: masks of points, one for each object that the AIS maps show.

In: the AIS maps, networks and embeddings. Out: a label image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bioimage_cpp.distance import distance_transform
from bioimage_cpp.segmentation import label

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Float2D, Float3D, Labels2D, Masks, Points, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.prompts.batches import decode, single_points

from .candidates import Candidate, measure, merge_candidates
from .suppression import suppress_masks


@dataclass(frozen=True, kw_only=True)
class ApgParameters:
    """The settings of APG. Defaults: micro-sam 1.8.14's ``AutomaticPromptGenerator.generate``.

    Attributes:
        foreground_threshold: Seeds lie where the foreground is at or above it; the maps are not
            smoothed.
        center_distance_threshold: Seeds lie where the center distances are below it.
        boundary_distance_threshold: Seeds lie where the boundary distances are below it.
        min_size: Keep only masks of more pixels than this.
        nms_threshold: Drop one of two masks with a larger IoU than this.
        intersection_over_min: Divide the intersection by the smaller mask instead of the union.
        multimasking: Take the multimask output with the best predicted IoU instead of the
            single-mask output.
    """

    foreground_threshold: float = 0.5
    center_distance_threshold: float = 0.5
    boundary_distance_threshold: float = 0.5
    min_size: int = 25
    nms_threshold: float = 0.9
    intersection_over_min: bool = False
    multimasking: bool = False

    def __post_init__(self) -> None:
        if self.min_size < 0:
            raise InputError(f"min_size must not be negative, got {self.min_size}")


def segment_by_seeds(
    networks: Networks,
    config: ModelConfig,
    embeddings: ImageEmbeddings,
    maps: Float3D,
    parameters: ApgParameters,
    progress: Progress | None = None,
) -> Labels2D:
    """Prompt the seeds that the AIS maps show, and merge their masks.

    Args:
        networks: The model's networks.
        config: The model's config.
        embeddings: The image's embeddings.
        maps: AIS maps ``(3, height, width)`` of the whole image, in 0..1.
        parameters: Thresholds.
        progress: Called with ("prompt", points done, points in all).

    Returns:
        ``(height, width)`` int32, 0 where there is no object.

    Raises:
        InputError: The package is too old to return the single-mask output for a point.
    """
    points = seed_points(*maps, parameters=parameters)
    found: dict[int, Candidate] = {}
    for decoded in decode(
        networks, config, embeddings, single_points(points),
        multimask_output=parameters.multimasking, progress=progress,
    ):  # fmt: skip
        best = decoded.iou.argmax(axis=1)
        for i, (member, output) in enumerate(zip(decoded.members, best, strict=True)):
            x, y = points[member]
            candidate = measure(
                decoded.low_res[i, output],
                decoded.enlargement,
                origin=decoded.tile.outer[:2],
                predicted_iou=float(decoded.iou[i, output]),
                point=(float(x), float(y)),
            )
            if candidate is not None:
                found[member] = candidate
    in_order = [found[member] for member in sorted(found)]
    return merge_by_score(in_order, embeddings.original_size, parameters)


def seed_points(
    foreground: Float2D,
    center_distances: Float2D,
    boundary_distances: Float2D,
    *,
    parameters: ApgParameters,
) -> Points:
    """Find the innermost pixel of each seed region.

    Args:
        foreground: ``(height, width)`` in [0, 1].
        center_distances: Same shape, 0 at an object's centre.
        boundary_distances: Same shape, inverted: 1 at the boundary.
        parameters: Thresholds.

    Returns:
        ``(n, 2)`` float32 (x, y), in raster order of the regions, which are 4-connected. A region
        on the image's border only gives its first pixel.

    Source:
        micro-sam 1.8.14, ``instance_segmentation._derive_point_prompts`` and ``_get_centers``. In
        images of more than 512 pixels a side micro-sam computes distances in blocks that overlap
        by 16 pixels; here they are exact.
    """
    candidates = (
        (center_distances < parameters.center_distance_threshold)
        & (boundary_distances < parameters.boundary_distance_threshold)
        & (foreground >= parameters.foreground_threshold)
    )
    regions = label(candidates, connectivity=1)
    distances = distance_transform(_inside(regions))
    pixels = np.flatnonzero(regions)
    owners, depth = regions.ravel()[pixels], distances.ravel()[pixels]
    order = np.lexsort((pixels, -depth, owners))
    first = np.flatnonzero(np.diff(owners[order], prepend=0))
    rows, columns = np.unravel_index(pixels[order[first]], regions.shape)
    return np.stack([columns, rows], axis=1).astype(np.float32)


def _inside(regions: Labels2D) -> Masks:
    """Mark all pixels except the image's border and the regions' outer boundaries.

    The outer boundary is the background beside a region, and the pixels of a region that touch
    another region at a corner. Source: scikit-image 0.26, ``find_boundaries`` with mode "outer".
    """
    padded = np.pad(regions, 1)
    middle = padded[1:-1, 1:-1]
    beside = np.zeros(regions.shape, np.bool_)
    corner = np.zeros(regions.shape, np.bool_)
    height, width = regions.shape
    for y, x in ((0, 1), (1, 0), (1, 2), (2, 1)):
        beside |= padded[y : y + height, x : x + width] != 0
    for y, x in ((0, 0), (0, 2), (2, 0), (2, 2)):
        other = padded[y : y + height, x : x + width]
        corner |= (other != 0) & (other != middle)
    inside: Masks = ~np.where(middle == 0, beside, corner)
    inside[[0, -1]] = False
    inside[:, [0, -1]] = False
    return inside


def merge_by_score(candidates: list[Candidate], size: Size, parameters: ApgParameters) -> Labels2D:
    """Drop small and duplicate masks, and paint the others.

    A mask's score is its predicted IoU times its stability.

    Args:
        candidates: One for each point.
        size: (height, width) of the image.
        parameters: Thresholds.

    Returns:
        ``(height, width)`` int32.

    Source:
        micro-sam 1.8.14, ``util.apply_nms``.
    """
    large = [
        one for one in candidates if parameters.min_size == 0 or one.area > parameters.min_size
    ]
    scores = np.array(
        [np.float32(one.predicted_iou) * np.float32(one.stability_score) for one in large],
        np.float32,
    )
    kept = suppress_masks(
        large,
        scores,
        parameters.nms_threshold,
        intersection_over_min=parameters.intersection_over_min,
    )
    return merge_candidates(
        [large[i] for i in kept],
        size,
        min_size=parameters.min_size,
        exclusively=True,
        with_background=False,
    )
