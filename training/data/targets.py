"""Training targets of the AIS decoder: from instance labels to the three maps.

In: instance labels. Out: foreground, and each pixel's two distances within its object.
"""

from __future__ import annotations

from itertools import pairwise

import bioimage_cpp as bic
import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Float3D, Labels2D

EPSILON = 1e-7
"""Keeps the division by an object's largest distance finite. Source: torch-em 0.10.9."""


MIN_COMPONENT = 25
"""Least size of a component in pixels; smaller ones are background. Source: micro-sam 1.8.14's
training loader."""


def distance_targets(labels: Labels2D, *, min_size: int = MIN_COMPONENT) -> Float3D:
    """Compute the maps that the AIS decoder learns to predict.

    Args:
        labels: ``(height, width)`` int32 instances, 0 is background. A label in several pieces
            counts as several objects (8-connected). Pixels with -1, which nobody annotated, have
            the targets of background, and the losses leave them out; an object ends there (own
            choice: who outlines an object outlines all of it).
        min_size: Pieces with fewer pixels become background.

    Returns:
        ``(3, height, width)`` float32 in 0..1, channels in the order of ``AIS_CHANNELS``: 1 on
        objects; the distance to the object's centre, divided by the largest one in the object (0
        at the centre); and one minus the distance to the object's outermost pixels, divided by the
        largest one (0 in the core). On the background they are 0, 1 and 1. The image's border is
        not a boundary: an object that it cuts has its core there.

    Source:
        ``PerObjectDistanceTransform`` of torch-em 0.10.9, as micro-sam trains with it. The centre
        is the rounded centroid, or, if that lies outside the object, the pixel farthest from the
        boundary.
    """
    components = _components(labels, min_size)
    targets = np.ones((3, *labels.shape), np.float32)
    targets[0] = components > 0
    outline = _outline(components)
    for region, mask in _objects(components):
        center, boundary = _distances(mask, outline[region], region)
        targets[1][region][mask] = center[mask]
        targets[2][region][mask] = boundary[mask]
    return targets


def _components(labels: Labels2D, min_size: int) -> Labels2D:
    components = np.asarray(bic.segmentation.label(np.maximum(labels, 0)), np.int32)
    counts = np.bincount(components.reshape(-1))
    components[(counts < min_size)[components]] = 0
    return components


def _outline(labels: Labels2D) -> NDArray[np.bool_]:
    """Mark object pixels with a 4-neighbour of another label or of the background."""
    outline = np.zeros(labels.shape, np.bool_)
    differs = labels[1:] != labels[:-1]
    outline[1:] |= differs
    outline[:-1] |= differs
    differs = labels[:, 1:] != labels[:, :-1]
    outline[:, 1:] |= differs
    outline[:, :-1] |= differs
    return outline & (labels > 0)


def _objects(labels: Labels2D) -> list[tuple[tuple[slice, slice], NDArray[np.bool_]]]:
    """Return the bounding box and the mask of each object."""
    rows, columns = np.nonzero(labels)
    values = labels[rows, columns]
    order = np.argsort(values, kind="stable")
    rows, columns, values = rows[order], columns[order], values[order]
    starts = np.flatnonzero(np.diff(values, prepend=0))
    result = []
    for start, end in pairwise([*starts, len(values)]):
        y, x = rows[start:end], columns[start:end]
        region = (slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1))
        result.append((region, labels[region] == values[start]))
    return result


def _distances(
    mask: NDArray[np.bool_], outline: NDArray[np.bool_], region: tuple[slice, slice]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if outline.any():
        depth = np.asarray(bic.distance.distance_transform(~outline), np.float32)
    else:  # one object fills the image: it has a centre, but no boundary
        depth = np.zeros(mask.shape, np.float32)
    depth[~mask] = 0
    y, x = np.nonzero(mask)
    # Rounded half to even in the coordinates of the image, not of the region, as in the source.
    top, left = region[0].start, region[1].start
    center_y = round(float(y.mean()) + top) - top
    center_x = round(float(x.mean()) + left) - left
    if not mask[center_y, center_x]:
        center_y, center_x = np.unravel_index(int(np.argmax(depth)), mask.shape)
    grid_y, grid_x = np.indices(mask.shape)
    center = np.hypot(grid_y - center_y, grid_x - center_x).astype(np.float32)
    center[~mask] = 0
    boundary = depth.max() - depth
    boundary[~mask] = 0
    return center / (center.max() + EPSILON), boundary / (boundary.max() + EPSILON)
