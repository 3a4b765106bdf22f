"""Doubts about the values of an image: hot pixels, faint 8 bits, numbers that wrapped around.

In: an image, and how the model takes its values. Out: sentences for the user.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import intensity_limits
from samzoo.runtime.images.outliers import whole_box

LOWEST = 0.1
"""Share of the range from minimum to maximum below which all but 0.1 % of the pixels lie, if a few
are far brighter than all others. Measured: at least 0.17 in 469 images of five sets."""

WRAPPED = 0.001
"""Share of pixels at both ends of unsigned numbers, with none in the half between, from which
values have wrapped around (own choice: saturated images have values between)."""

FEW_VALUES, STRIDE = 16, 3
"""An image with fewer values, in each third row and column, is a drawing and not from a camera (own
choice)."""


def range_doubts(image: Array, intensity: str) -> list[str]:
    """Say what is odd about the range of an image's values.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, not constant, finite.
        intensity: How the model takes values: ``none``, ``min_max`` or ``percentile``.

    Returns:
        Sentences without a full stop.
    """
    return [*_extremes(image, intensity), *_wrapped(image)]


def left_out(image: Array, preprocessing: Preprocessing) -> tuple[Array, list[str]]:
    """Leave out what has no part in the percentiles of an image, and say so.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, finite.
        preprocessing: How the model takes values.

    Returns:
        The picture inside its border, in which outliers have the highest value of the rest; and
        sentences without a full stop.
    """
    if preprocessing.intensity != "percentile":
        return image, []
    y0, x0, y1, x1 = whole_box(image)
    picture, found = image[y0:y1, x0:x1], []
    if picture.shape != image.shape:
        share = 1 - picture.size / image.size
        found.append(
            f"a border of the value {image.min():g} ({share:.0%} of the image) was left out of the "
            "statistics of its intensities"
        )
    start = intensity_limits(image, preprocessing).outliers
    if start < np.inf:
        rest = picture[picture < start]
        found.append(
            f"{1 - rest.size / picture.size:.1%} of the pixels are far brighter than all others "
            f"({start:.5g} and more; the others are at most {rest.max():g}): they were left out of "
            "the statistics, and single ones replaced by their neighbours; objects under them are "
            "lost"
        )
        picture = np.minimum(picture, rest.max())
    return picture, found


def _wrapped(image: Array) -> list[str]:
    """Say if negative values seem to have become large ones, as unsigned numbers do."""
    if image.dtype.kind != "u" or image.dtype.itemsize < 2:
        return []
    top = int(np.iinfo(image.dtype).max)
    low, high = float((image < top // 4).mean()), float((image > top // 4 * 3).mean())
    few = len(np.unique(image[::STRIDE, ::STRIDE])) <= FEW_VALUES
    saturated = 2 * float((image == top).mean()) > high
    if few or saturated or min(low, high) < WRAPPED or low + high < 1:
        return []
    return [
        f"{high:.0%} of the values lie near {top} and the others near 0, with none between: "
        "negative values seem to have wrapped around, as when a background is subtracted from "
        "unsigned numbers; subtract it again with signed ones"
    ]


def _extremes(image: Array, intensity: str) -> list[str]:
    """Say if a few pixels make the rest dark, in an image that is stretched to its maximum."""
    if intensity == "percentile":
        return []
    low, high = float(image.min()), float(image.max())
    if intensity == "none" and image.dtype == np.uint8:
        if high - low >= LOWEST * 255:
            return []
        return [
            f"the image uses only the values {low:g} to {high:g} of 0 to 255, and the model takes "
            "8 bits as they are, so it sees hardly any contrast: stretch the image, or save it "
            "with 16 bits"
        ]
    most = float(np.percentile(image, 99.9))
    if most - low >= LOWEST * (high - low):
        return []
    return [
        f"a few pixels are far brighter than all others (up to {high:g}; 99.9 % lie below "
        f"{most:.5g}), and the model stretches the image up to them, so the rest is nearly black: "
        "remove hot pixels, or clip the values"
    ]
