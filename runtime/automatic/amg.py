"""AMG: masks of everything in an image from a grid of points, without an AIS decoder.

In: networks and embeddings. Out: ``Candidate`` masks or a label image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from bioimage_cpp.segmentation import label
from numpy.typing import NDArray

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels2D, Masks, Points, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.prompts.batches import decode, single_points

from .candidates import Candidate, measure, merge_candidates
from .suppression import suppress_boxes

MAX_POINTS_PER_SIDE = 512
"""Largest grid, with a quarter of a million prompts (own choice: more is a mistake)."""

CHANGED_NMS_THRESH = 0.7
"""Least suppression threshold for masks whose small regions were removed. Source:
segment-anything's default ``crop_nms_thresh``."""

Coordinates: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AmgParameters:
    """The settings of AMG. Defaults: segment-anything's and, for ``with_background``, micro-sam's.

    There are no crops of the image (``crop_n_layers``): tiles serve small objects better.

    Attributes:
        points_per_side: Points along each side of the grid over a tile.
        pred_iou_thresh: Drop masks with a predicted IoU of at most this; 0 drops none.
        stability_score_thresh: Drop masks less stable than this.
        stability_score_offset: Logits by which the mask threshold is raised and lowered to measure
            how stable a mask is.
        box_nms_thresh: Drop one of two masks whose boxes have a larger IoU than this.
        min_mask_region_area: Remove holes and separate parts of fewer pixels; 0 removes none.
        with_background: Drop the largest segment of the label image, unless it is smaller than the
            area that no mask covers.
    """

    points_per_side: int = 32
    pred_iou_thresh: float = 0.88
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    min_mask_region_area: int = 0
    with_background: bool = True

    def __post_init__(self) -> None:
        if not 1 <= self.points_per_side <= MAX_POINTS_PER_SIDE:
            raise InputError(
                f"points_per_side must be 1 to {MAX_POINTS_PER_SIDE}, got {self.points_per_side}"
            )
        for name in ("stability_score_offset", "min_mask_region_area"):
            if getattr(self, name) < 0:
                raise InputError(f"{name} must not be negative, got {getattr(self, name)}")


def segment_by_grid(
    networks: Networks,
    config: ModelConfig,
    embeddings: ImageEmbeddings,
    parameters: AmgParameters,
    progress: Progress | None = None,
) -> Labels2D:
    """Merge the masks of ``generate_masks`` into labels, with small masks on top.

    Returns:
        ``(height, width)`` int32, 0 where there is no object.

    Source:
        micro-sam 1.8.14, ``instance_segmentation.AutomaticMaskGenerator.generate``.
    """
    return merge_candidates(
        generate_masks(networks, config, embeddings, parameters, progress),
        embeddings.original_size,
        exclusively=False,
        with_background=parameters.with_background,
    )


def generate_masks(
    networks: Networks,
    config: ModelConfig,
    embeddings: ImageEmbeddings,
    parameters: AmgParameters,
    progress: Progress | None = None,
) -> list[Candidate]:
    """Find the masks of everything in an image.

    In a tiled image each tile has a grid of its own. Only the points in its inner part prompt, and
    only masks whose box has its centre in the inner part are kept. Duplicates are then dropped
    over all tiles.

    Args:
        networks: The model's networks.
        config: The model's config.
        embeddings: The image's embeddings.
        parameters: Thresholds.
        progress: Called with ("prompt", points done, points in all).

    Returns:
        The masks, ordered by predicted IoU, the best first.

    Raises:
        InputError: The package is too old to return multimask outputs.

    Source:
        segment-anything 1.0, ``automatic_mask_generator.py``, without crops. It keeps empty masks
        if ``stability_score_thresh`` is 0; here they are dropped.
    """
    found: list[Candidate] = []
    points, tiles = _grid(embeddings.tiles, parameters.points_per_side)
    for decoded in decode(
        networks, config, embeddings, single_points(points),
        tiles=tiles, multimask_output=True, progress=progress,
    ):  # fmt: skip
        good = (decoded.iou > parameters.pred_iou_thresh) | (parameters.pred_iou_thresh <= 0)
        for i, output in np.argwhere(good):
            x, y = points[decoded.members[i]]
            candidate = measure(
                decoded.low_res[i, output],
                decoded.enlargement,
                origin=decoded.tile.outer[:2],
                predicted_iou=float(decoded.iou[i, output]),
                point=(float(x), float(y)),
                stability_score_offset=parameters.stability_score_offset,
                stability_score_thresh=parameters.stability_score_thresh,
            )
            if candidate is not None and _is_inner(candidate, decoded.tile):
                found.append(candidate)
    scores = np.array([one.predicted_iou for one in found], np.float32)
    found = _suppressed(found, scores, parameters.box_nms_thresh)
    if parameters.min_mask_region_area > 0:
        found = _without_small_regions(found, embeddings.original_size, parameters)
    return found


def _grid(tiles: tuple[Tile, ...], per_side: int) -> tuple[Points, list[int]]:
    """Return points ``(n, 2)`` (x, y) in the image, row by row in each tile, and their tiles."""
    steps = (np.arange(per_side) + 0.5) / per_side
    points, owners = [], []
    for index, tile in enumerate(tiles):
        x, y = np.meshgrid(
            steps * tile.size[1] + tile.outer[1], steps * tile.size[0] + tile.outer[0]
        )
        inside = _contains(tile, x, y)
        points.append(np.stack([x[inside], y[inside]], axis=1))
        owners += [index] * len(points[-1])
    return np.concatenate(points).astype(np.float32), owners


def _contains(tile: Tile, x: Coordinates, y: Coordinates) -> Masks:
    """Tell which points lie in a tile's inner part."""
    y0, x0, y1, x1 = tile.inner
    inside: Masks = (x >= x0) & (x < x1) & (y >= y0) & (y < y1)
    return inside


def _is_inner(candidate: Candidate, tile: Tile) -> bool:
    x0, y0, x1, y1 = candidate.box
    return bool(_contains(tile, np.array((x0 + x1) / 2), np.array((y0 + y1) / 2)))


def _suppressed(candidates: list[Candidate], scores: Scores, threshold: float) -> list[Candidate]:
    boxes = np.array([one.box for one in candidates], np.float32).reshape(-1, 4)
    return [candidates[i] for i in suppress_boxes(boxes, scores, threshold)]


def _without_small_regions(
    candidates: list[Candidate], size: Size, parameters: AmgParameters
) -> list[Candidate]:
    """Remove small holes and parts; if masks become alike, prefer the unchanged ones."""
    cleaned, unchanged = [], []
    for one in candidates:
        before = one.full(size)
        after = remove_small_regions(before, parameters.min_mask_region_area, holes=True)
        after = remove_small_regions(after, parameters.min_mask_region_area, holes=False)
        same = np.array_equal(before, after)
        changed = one if same else Candidate.of(
            after, 0, 0,
            predicted_iou=one.predicted_iou,
            stability_score=one.stability_score,
            point=one.point,
        )  # fmt: skip
        if changed is not None:  # a part always stays
            cleaned.append(changed)
            unchanged.append(float(same))
    threshold = max(parameters.box_nms_thresh, CHANGED_NMS_THRESH)
    return _suppressed(cleaned, np.array(unchanged, np.float32), threshold)


def remove_small_regions(mask: Masks, area_thresh: int, *, holes: bool) -> Masks:
    """Fill small holes, or remove small separate parts.

    Args:
        mask: ``(height, width)`` bool, of the whole image.
        area_thresh: Regions of fewer pixels are filled or removed.
        holes: Fill holes; otherwise remove parts, but never the largest.

    Returns:
        The mask without them. Regions are 8-connected.

    Source:
        segment-anything 1.0, ``utils/amg.py``, ``remove_small_regions``.
    """
    regions = label(mask != holes)
    sizes = np.bincount(regions.ravel())
    small = sizes < area_thresh
    small[0] = False
    if holes:
        filled: Masks = mask | small[regions]
        return filled
    keep = ~small
    keep[0] = False
    if len(sizes) > 1 and not keep.any():
        keep[1 + np.argmax(sizes[1:])] = True
    kept: Masks = keep[regions]
    return kept
