"""Prompts derived from a mask: its box, points in and around it, and the mask itself.

In: a mask of an object in one slice. Out: a ``Prompt`` for the same object in the next one.

Source: micro-sam 1.8.14, ``prompt_based_segmentation.py``, which takes its points from
scikit-image 0.26, ``feature.peak_local_max``.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from bioimage_cpp.distance import distance_transform
from bioimage_cpp.filters import gaussian_smoothing
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.arrays import Float2D, Float3D, Masks
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import input_size, resize_image
from samzoo.runtime.images.tiles import Tile

from .tokens import BOX_BOTTOM_RIGHT, BOX_TOP_LEFT, NEGATIVE, POSITIVE, Prompt

Projection = Literal["box", "mask", "points", "points_and_mask", "single_point"]
"""The part of a mask that prompts the next slice; ``mask`` includes its box."""

PROBABILITY = 1e-3
"""Probability of foreground outside a mask that is written as logits. Source: micro-sam,
``_compute_logits_from_mask``."""

INNER_DISTANCE, OUTER_DISTANCE = 3, 5
"""Least distance in pixels between points in an object, and around it. Source: micro-sam."""


def check_projection(projection: str) -> None:
    """Refuse an unknown projection.

    Raises:
        InputError: The projection is unknown; the message lists the known ones.
    """
    if projection not in get_args(Projection):
        known = ", ".join(get_args(Projection))
        raise InputError(f"projection: found {shown(projection)}, allowed: {known}")


def prompt_of_mask(mask: Masks, projection: Projection, *, box_extension: float = 0.0) -> Prompt:
    """Make a prompt from a mask, without the mask itself.

    Args:
        mask: ``(height, width)`` boolean, not empty.
        projection: The kind of prompt.
        box_extension: How much to widen the box on each side: a value below 1 is a fraction of the
            box's length, any other a number of pixels.

    Returns:
        The prompt in pixels of the image. If points are asked for and none is found, the box.
    """
    box = box_of_mask(mask, box_extension)
    points = np.zeros((0, 2), np.float32)
    labels = np.zeros(0, np.float32)
    if projection in ("points", "points_and_mask", "single_point"):
        single = projection == "single_point"
        points, labels = points_of_mask(mask, box, single=single)
    if projection in ("box", "mask") or not len(points):
        points = np.concatenate([points, box.reshape(2, 2)])
        labels = np.concatenate([labels, np.array([BOX_TOP_LEFT, BOX_BOTTOM_RIGHT])])
    return Prompt(points.astype(np.float32), labels.astype(np.float32))


def box_of_mask(mask: Masks, extension: float = 0.0) -> NDArray[np.int64]:
    """Return a mask's tight box, ``(4,)`` XYXY in whole pixels, widened and cut at the image."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    y0, y1, x0, x1 = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    more_y, more_x = extension, extension
    if extension < 1:
        more_y, more_x = extension * (y1 - y0), extension * (x1 - x0)
    height, width = mask.shape
    box = [max(x0 - more_x, 0), max(y0 - more_y, 0), min(x1 + more_x, width),
           min(y1 + more_y, height)]  # fmt: skip
    return np.round(np.array(box)).astype(np.int64)


def points_of_mask(
    mask: Masks, box: NDArray[np.int64], *, single: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find points far from an object's border, in it and around it.

    Args:
        mask: ``(height, width)`` boolean.
        box: XYXY in which to look.
        single: Return only the innermost pixel.

    Returns:
        Points ``(n, 2)`` (x, y) and labels ``(n,)``, 1 in the object and 0 around it.
    """
    x0, y0, x1, y1 = box.tolist()
    part = np.ascontiguousarray(mask[y0:y1, x0:x1])
    outside = _grown(part) & ~part
    distances = _smoothed_distances(outside)
    inner = np.where(part, distances, 0)
    if single:
        row, column = np.unravel_index(int(inner.argmax()), inner.shape)
        return np.array([[column + x0, row + y0]], np.float32), np.array([POSITIVE], np.float32)
    positive = peaks(inner, INNER_DISTANCE)
    negative = peaks(np.where(part, 0, distances), OUTER_DISTANCE)
    points = np.concatenate([positive, negative])[:, ::-1] + (x0, y0)
    labels = [POSITIVE] * len(positive) + [NEGATIVE] * len(negative)
    return points.astype(np.float32), np.array(labels, np.float32)


def _grown(mask: Masks) -> Masks:
    """Add the four neighbours of each pixel."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _smoothed_distances(border: Masks) -> Float2D:
    smoothed: Float2D = gaussian_smoothing(distance_transform(~border), 1.0)
    return smoothed


def peaks(values: Float2D, distance: int) -> NDArray[np.int64]:
    """Find local maxima that lie at least a distance apart.

    Args:
        values: ``(height, width)``.
        distance: Pixels, along rows or columns, whichever is more.

    Returns:
        ``(n, 2)`` rows and columns, the highest maximum first; equal ones in raster order. Only
        values above the smallest count.

    Source:
        scikit-image 0.26, ``feature.peak_local_max`` with ``exclude_border=False``.
    """
    largest = _largest_around(values, distance)
    candidates = np.argwhere((values == largest) & (values > values.min()))
    if not len(candidates):
        return np.zeros((0, 2), np.int64)
    heights = values[candidates[:, 0], candidates[:, 1]]
    candidates = candidates[np.argsort(-heights, kind="stable")]
    kept: list[NDArray[np.int64]] = []
    for candidate in candidates:
        if all(np.abs(candidate - other).max() >= distance for other in kept):
            kept.append(candidate)
    return np.array(kept, np.int64)


def _largest_around(values: Float2D, distance: int) -> Float2D:
    """Return the largest value within a distance in rows and columns; 0 beyond the border."""
    largest = values
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (distance, distance)
        padded = np.pad(largest, pads)
        windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * distance + 1, axis=axis)
        largest = windows.max(axis=-1)
    return largest


def mask_as_logits(mask: Masks, tile: Tile, config: ModelConfig) -> Float3D:
    """Write a mask as the ``mask_input`` of a tile.

    Args:
        mask: ``(height, width)`` boolean of the whole image.
        tile: The tile that is decoded.
        config: The model's config.

    Returns:
        ``(1, 4 * grid, 4 * grid)`` float32: 6.9 in the mask, -6.9 elsewhere and beyond the image.
    """
    y0, x0, y1, x1 = tile.outer
    side = config.mask_side
    rows, columns = input_size(tile.size, config.image_size, config.preprocessing.scale)
    factor = side / config.image_size
    size = (max(1, round(rows * factor)), max(1, round(columns * factor)))
    part = mask[y0:y1, x0:x1].astype(np.float32)
    resized = resize_image(np.repeat(part[..., None], 3, axis=2), size)[..., 0]
    inside = np.zeros((side, side), np.bool_)
    inside[: size[0], : size[1]] = resized > 0.5
    certain = np.float32(np.log((1 - PROBABILITY) / PROBABILITY))
    return np.where(inside, certain, -certain).astype(np.float32)[None]
