"""Controls: what classical methods find in an image, which a model must beat to be worth its cost.

In: an image. Out: labels, by the name of the method. Thresholds come from the image alone, and the
constants below are the same for all images. They are scikit-image's methods (extra ``evaluate``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.automatic.ais import remove_small
from samzoo.runtime.dependencies import require
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.intensity import is_constant

SMOOTHING = 1.0
"""Gaussian smoothing of the image in pixels. Source: the task's description of its data, whose
control is Gaussian 1, Otsu's threshold and connected components."""

WINDOW = 101
"""Side in pixels of the window of the local threshold: the better of 51 and 101 on the validation
images of two sets, see decision 29."""

SEED_SMOOTHING = 2.0
"""Gaussian smoothing of the distances to the background, in pixels."""

SEED_DISTANCE = 5
"""Least distance of two seeds in pixels. Both were chosen on the validation images of the 2018 Data
Science Bowl's fluorescence part: among smoothings 0, 1, 2 and distances 5, 7, 10."""

EXTRA = "evaluate"

GREY_WEIGHTS = (0.2125, 0.7154, 0.0721)
"""Red, green and blue in the brightness of a colour. Source: scikit-image's ``rgb2gray``, ITU-R
BT.709."""


def classical_controls(*, min_size: int) -> dict[str, Callable[[Array], Labels2D]]:
    """Return the controls of the task ``ais``.

    - ``otsu``: Otsu's threshold, connected components.
    - ``otsu_watershed``, ``li_watershed``: the threshold of Otsu or Li, then a watershed of the
      distance to the background from its smoothed maxima.
    - ``local_watershed``: pixels on the objects' side of Li's threshold and of the Gaussian mean
      around them, then the same watershed.

    The image is smoothed first. Whether objects are bright or dark is decided by one rule for all:
    objects are what covers less than half of the image on one side of Otsu's threshold.

    Args:
        min_size: Smaller objects are dropped, in pixels.

    Returns:
        By name, functions from an image ``(height, width)`` or ``(height, width, 3)`` to labels
        ``(height, width)`` int32; an image of one value has no objects.

    Raises:
        MissingDependencyError: scikit-image is not installed.
    """
    require("skimage", extra=EXTRA)
    return {
        "otsu": partial(_segment, threshold=_otsu, split=_components, min_size=min_size),
        "otsu_watershed": partial(_segment, threshold=_otsu, split=_watershed, min_size=min_size),
        "li_watershed": partial(_segment, threshold=_li, split=_watershed, min_size=min_size),
        "local_watershed": partial(_segment, threshold=_local, split=_watershed, min_size=min_size),
    }


def _segment(
    image: Array,
    *,
    threshold: Callable[[NDArray[np.float64]], Any],
    split: Callable[[NDArray[np.bool_]], Labels2D],
    min_size: int,
) -> Labels2D:
    if is_constant(image):
        return np.zeros(image.shape[:2], np.int32)
    grey = image @ np.array(GREY_WEIGHTS) if image.ndim == 3 else image.astype(np.float64)
    smooth = _skimage("filters").gaussian(grey, SMOOTHING, preserve_range=True)
    if np.mean(smooth > _otsu(smooth)) > 0.5:
        smooth = smooth.max() - smooth  # dark objects become bright ones
    return remove_small(split(smooth > threshold(smooth)), min_size)


def _otsu(smooth: NDArray[np.float64]) -> Any:
    return _skimage("filters").threshold_otsu(smooth)


def _li(smooth: NDArray[np.float64]) -> Any:
    return _skimage("filters").threshold_li(smooth)


def _local(smooth: NDArray[np.float64]) -> Any:
    return np.maximum(_skimage("filters").threshold_local(smooth, WINDOW), _li(smooth))


def _components(mask: NDArray[np.bool_]) -> Labels2D:
    return np.asarray(_skimage("measure").label(mask), np.int32)


def _watershed(mask: NDArray[np.bool_]) -> Labels2D:
    distances = require("scipy.ndimage", extra=EXTRA).distance_transform_edt(mask)
    depth = _skimage("filters").gaussian(distances, SEED_SMOOTHING)
    peaks = _skimage("feature").peak_local_max(
        depth, min_distance=SEED_DISTANCE, labels=_components(mask), exclude_border=False
    )
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return np.asarray(_skimage("segmentation").watershed(-depth, seeds, mask=mask), np.int32)


def _skimage(module: str) -> Any:
    return require(f"skimage.{module}", extra=EXTRA)
