"""Image intensities brought to 0..255 RGB.

In: a checked image of any real dtype. Out: ``(height, width, 3)``, which every encoder expects
before resizing. The runtime and training share this, so that both see the same intensities.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.config import Preprocessing

from .outliers import outliers_from, whole_box, without_hot_pixels
from .reading import check_image

STRIP = 1024
"""Rows whose values are counted at once."""


class Stretch(NamedTuple):
    """How the values of an image are stretched.

    Attributes:
        low: The value that becomes 0.
        high: The value that becomes 255.
        outliers: Values from here on have no part in the statistics; single ones are replaced.
    """

    low: float
    high: float
    outliers: float = math.inf


def to_0_255(
    image: Array, preprocessing: Preprocessing, limits: Stretch | tuple[float, float] | None = None
) -> Array:
    """Stretch intensities to 0..255 and copy grey into three channels.

    Low and high are those of all pixels and channels together (own choice: stretching each channel
    alone would change colours). Values follow ``(x - low) / (high - low) * 255``, clipped.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, any real dtype.
        preprocessing: ``intensity`` and ``percentiles`` are used. ``none`` leaves uint8 images
            unchanged and stretches others from their minimum to their maximum; ``min_max`` always
            stretches; ``percentile`` takes low and high from NumPy's linear percentiles of the
            picture without its outliers (``outliers.py``), and replaces hot pixels.
        limits: From ``intensity_limits`` of the whole image, if ``image`` is only a window of it.

    Returns:
        ``(height, width, 3)`` in 0..255: uint8 for a uint8 image and ``none``, else float32. A
        constant image is stretched to zeros. If the two percentiles are equal and the image is not
        constant, values above them become 255 and all others 0: the limit of the formula.

    Raises:
        ImageError: The array is not an image, or its range exceeds float64.

    Source:
        Min-max stretching: micro-sam 1.8.14, ``util._to_image`` (which stretches each channel
        alone). Unchanged uint8: segment-anything, ``predictor.py``, which takes only uint8 images.
    """
    image = check_image(image)
    keep = preprocessing.intensity == "none" and image.dtype == np.uint8
    stretched = image
    if not keep:
        stretch = Stretch(*(limits or intensity_limits(image, preprocessing)))
        if stretch.outliers < np.inf:
            image = without_hot_pixels(image, stretch.outliers)
        stretched = _stretch(image, stretch.low, stretch.high)
    if stretched.ndim == 2:
        stretched = np.repeat(stretched[..., np.newaxis], 3, axis=2)
    return stretched


def _stretch(image: Array, low: float, high: float) -> Array:
    # float32 holds 8 and 16 bits exactly; other values need float64 until they are small.
    exact_in_float32 = image.dtype in (np.uint8, np.int8, np.uint16, np.int16)
    values: NDArray[np.floating] = image.astype(np.float32 if exact_in_float32 else np.float64)
    if high <= low:
        return np.where(values > low, np.float32(255), np.float32(0))
    if not np.isfinite(high - low):
        raise ImageError(f"image: values from {low} to {high} span more than float64 holds")
    values -= low
    values *= 255 / (high - low)
    return np.clip(values, 0, 255, out=values).astype(np.float32, copy=False)


def intensity_limits(image: Array, preprocessing: Preprocessing) -> Stretch:
    """Find the values of a whole image that ``to_0_255`` brings to 0 and 255.

    Args:
        image: Checked, ``(height, width)`` or ``(height, width, 3)``.
        preprocessing: As in ``to_0_255``.

    Returns:
        Low and high, and where outliers begin.
    """
    if preprocessing.intensity != "percentile":
        return Stretch(float(image.min()), float(image.max()))
    y0, x0, y1, x1 = whole_box(image)
    picture = image[y0:y1, x0:x1]
    strips = (picture[row : row + STRIP].ravel() for row in range(0, len(picture), STRIP))
    outliers = outliers_from(strips, image.dtype, disturbing_share(preprocessing))
    values = picture if outliers is None else picture[picture < outliers]
    # NumPy would interpolate percentiles of float32 values in float32.
    values = values.astype(np.float64) if values.dtype.kind == "f" else values
    low, high = np.percentile(values, preprocessing.percentiles, method="linear")
    return Stretch(float(low), float(high), np.inf if outliers is None else outliers)


def disturbing_share(preprocessing: Preprocessing) -> float:
    """Return the share of outliers that moves the upper percentile, or half as many."""
    return (1 - preprocessing.percentiles[1] / 100) / 2


def is_constant(image: Array) -> bool:
    """Tell whether all values of an image are equal; such an image has nothing to segment.

    Args:
        image: Any shape with at least one value; NaN is not allowed.

    Returns:
        True where minimum and maximum are equal.
    """
    return bool(image.min() == image.max())
