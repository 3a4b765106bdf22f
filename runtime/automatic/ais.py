"""AIS post-processing: from the decoder's three maps to instance labels.

In: foreground, center distances and boundary distances at image size. Out: int32 labels.
"""

from __future__ import annotations

import numpy as np
from bioimage_cpp.filters import gaussian_smoothing
from bioimage_cpp.segmentation import label, watershed

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.architecture import AIS_CHANNELS
from samzoo.runtime.formats.arrays import Float2D, Labels2D, Masks
from samzoo.runtime.formats.config import AisParameters


def segment_from_maps(
    foreground: Float2D,
    center_distances: Float2D,
    boundary_distances: Float2D,
    *,
    parameters: AisParameters,
) -> Labels2D:
    """Turn the three maps into instance labels with a seeded watershed.

    Args:
        foreground: Probability of foreground, ``(height, width)`` float, in [0, 1].
        center_distances: Distance to the object's centre, same shape, 0 at the centre, 1 outside
            objects.
        boundary_distances: Inverted distance to the boundary, same shape, 1 at the boundary and
            outside objects.
        parameters: Thresholds, smoothings (sigma in pixels) and minimal size (pixels).

    Returns:
        Labels, ``(height, width)`` int32, numbered from 1 in the raster order of their seeds.
        Foreground that touches no seed stays 0; without foreground or seeds all is 0.

    Raises:
        ShapeError: A map is empty or not two-dimensional, or the shapes differ.
        InputError: A map holds NaN or infinite values.

    Source:
        micro-sam 1.8.14, ``instance_segmentation.InstanceSegmentationWithDecoder.generate`` and
        torch-em 0.10.9, ``util.segmentation.watershed_from_center_and_boundary_distances``. The
        watershed sorts heights into 65536 levels. Its order within a level is not defined, so that
        either of two objects may win a tie.
    """
    _check_maps(foreground, center_distances, boundary_distances)
    mask = smooth(foreground, parameters.foreground_smoothing) > parameters.foreground_threshold
    center = smooth(center_distances, parameters.distance_smoothing)
    boundary = smooth(boundary_distances, parameters.distance_smoothing)
    seeds = find_seeds(
        mask, center, boundary,
        center_threshold=parameters.center_distance_threshold,
        boundary_threshold=parameters.boundary_distance_threshold,
    )  # fmt: skip
    if not seeds.any():
        return seeds
    labels = flood(boundary, seeds, mask)
    if parameters.min_size <= 1:
        return labels  # every seed lies in the mask and keeps its number, so none is missing
    return remove_small(labels, parameters.min_size)


def _check_maps(*maps: Float2D) -> None:
    first = maps[0].shape
    for name, values in zip(AIS_CHANNELS, maps, strict=True):
        if values.ndim != 2 or values.size == 0 or values.shape != first:
            raise ShapeError(
                f"{name} must have shape (height, width) as the other two maps, got "
                f"{values.shape} and {AIS_CHANNELS[0]} {first}; pass the decoder's three channels"
            )
        # Minimum and maximum show NaN and infinity without another array.
        if not (np.isfinite(values.min()) and np.isfinite(values.max())):
            raise InputError(
                f"{name} holds NaN or infinite values; the model or its input is damaged"
            )


def smooth(values: Float2D, sigma: float) -> Float2D:
    """Smooth a map with a Gaussian that is cut off at three sigma.

    Args:
        values: ``(height, width)`` float, finite.
        sigma: Standard deviation in pixels; 0 changes nothing.

    Returns:
        ``(height, width)`` float32. The map is mirrored at its border, without repeating the
        outermost pixel.

    Source:
        bioimage-cpp 0.10, with the defaults that micro-sam 1.8.14 uses: a window of radius
        ``ceil(3 * sigma)``.
    """
    values = np.ascontiguousarray(values, dtype=np.float32)
    if sigma == 0:
        return values
    smoothed: Float2D = gaussian_smoothing(values, sigma)
    return smoothed


def find_seeds(
    mask: Masks,
    center: Float2D,
    boundary: Float2D,
    *,
    center_threshold: float,
    boundary_threshold: float,
) -> Labels2D:
    """Find one seed region per object, where both distances are low inside the foreground.

    Args:
        mask: Foreground, ``(height, width)`` boolean.
        center: Smoothed center distances, same shape.
        boundary: Smoothed boundary distances, same shape.
        center_threshold: Seeds lie where ``center`` is strictly below it.
        boundary_threshold: Seeds lie where ``boundary`` is strictly below it.

    Returns:
        Seeds, ``(height, width)`` int32: the 8-connected components, numbered from 1 in raster
        order, 0 elsewhere.
    """
    candidates = center < center_threshold
    candidates &= boundary < boundary_threshold
    candidates &= mask
    seeds: Labels2D = label(candidates).astype(np.int32)
    return seeds


def flood(
    boundary: Float2D,
    seeds: Labels2D,
    mask: Masks,
    *,
    heights: tuple[float, float] | None = None,
) -> Labels2D:
    """Grow the seeds over the foreground, from low boundary distances to high ones.

    Args:
        boundary: Smoothed boundary distances, ``(height, width)``.
        seeds: The objects' seeds, same shape, int32.
        mask: Foreground, same shape.
        heights: Lowest and highest boundary distance in the foreground of the whole image, if the
            arrays are a window of it. The watershed has 65536 levels between them.

    Returns:
        Labels, same shape, int32; foreground that touches no seed stays 0.
    """
    if heights is None:
        labels: Labels2D = watershed(boundary, seeds, mask=mask)
        return labels
    # Two extra pixels beyond the window, apart from it, give the levels of the whole image.
    rows, columns = boundary.shape
    shape = (rows + 2, max(columns, 2))
    below = [np.zeros(shape, values.dtype) for values in (boundary, seeds, mask)]
    for larger, values in zip(below, (boundary, seeds, mask), strict=True):
        larger[:rows, :columns] = values
    below[0][-1, :2] = heights
    below[2][-1, :2] = True
    found: Labels2D = watershed(below[0], below[1], mask=below[2])
    return found[:rows, :columns]


def remove_small(labels: Labels2D, min_size: int) -> Labels2D:
    """Drop objects below a size, and number the others from 1 without gaps.

    Args:
        labels: ``(height, width)`` int32, numbered without large gaps.
        min_size: Least size in pixels that stays; 0 or 1 drops nothing.

    Returns:
        Labels of the same shape, int32, in the same order; possibly the same array.
    """
    sizes = np.bincount(labels.ravel())
    keep = (sizes > 0) & (sizes >= min_size)
    keep[0] = False
    if keep[1:].all():
        return labels.astype(np.int32, copy=False)
    new_numbers = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    return new_numbers[labels]
