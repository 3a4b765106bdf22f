"""AMG: masks of everything in an image, from a grid of points, without an AIS decoder.

In: networks and embeddings. Out: ``Candidate`` masks or a label image. Called by ``model.py``.
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
"""A quarter of a million prompts (own choice: more is a mistake)."""

CHANGED_NMS_THRESH = 0.7
"""Least threshold between masks whose small regions were removed. Source: segment-anything's
default ``crop_nms_thresh``."""

Coordinates: TypeAlias = NDArray[np.float64]
Scores: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class AmgParameters:
    """Settings of AMG. Defaults: segment-anything's and, for ``with_background``, micro-sam's.

    Crops of the image (``crop_n_layers``) are not done: what they are for, small objects, is better
    served by tiles.

    Attributes:
        points_per_side: Of the grid over each tile.
        pred_iou_thresh: Masks with a predicted IoU of at most this are dropped; 0 drops none.
        stability_score_thresh: Masks less stable than this are dropped.
        stability_score_offset: Logits by which the mask threshold is raised and lowered to see how
            stable a mask is.
        box_nms_thresh: Of two masks whose boxes have a larger IoU, one is dropped.
        min_mask_region_area: Holes and separate parts of fewer pixels are removed; 0 removes none.
        with_background: Drop the largest segment of the label image, unless it is smaller than
            what no mask covers.
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
    """Merge the masks of ``generate_masks`` into labels, the small ones on top.

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

    In a tiled image each tile has its own grid, of which the points of the inner part are used; a
    mask is kept where its box's centre lies in the inner part; duplicates are dropped over all.

    Args:
        networks: Of the model.
        config: Of the model.
        embeddings: Of the image.
        parameters: Thresholds.
        progress: Called with ("prompt", points done, points in all).

    Returns:
        The masks, by predicted IoU, the best first.

    Raises:
        InputError: The package is too old to return multimask outputs.

    Source:
        segment-anything 1.0, ``automatic_mask_generator.py``, without crops. Empty masks, which it
        keeps if ``stability_score_thresh`` is 0, are dropped.
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
    """Points ``(n, 2)`` (x, y) in the image, row by row in each tile, and the tile of each."""
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
    """Whether points lie in a tile's inner part."""
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
    """Remove small holes and parts; of masks that become alike, prefer those left unchanged."""
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
        mask: ``(height, width)`` bool, the whole image.
        area_thresh: Regions of fewer pixels go.
        holes: Fill holes; otherwise remove parts, but never the largest.

    Returns:
        The mask without them, 8-connected regions.

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
