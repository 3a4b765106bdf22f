"""Shapes of labelled objects from sums over their pixels: boundary length, ellipse, circularity.

In: pairs of rows of labels, and moments. Out: what the table of objects says of shape.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = (8, 2, 4, 1)
"""Weight of upper left, upper right, lower left and lower right in a pattern of 2 x 2 pixels."""

_SIDE, _DIAGONAL = np.pi / 4, np.pi / (4 * np.sqrt(2))

_LENGTHS = np.array([
    0, _SIDE + _DIAGONAL, _DIAGONAL, 2 * _DIAGONAL, 0, _SIDE + _DIAGONAL, 0, _DIAGONAL,
    _SIDE, 2 * _SIDE, _DIAGONAL, _DIAGONAL, _SIDE, 2 * _SIDE, 0, 0,
])  # fmt: skip
"""Length of boundary by pattern: the Crofton formula with four directions.

Source: scikit-image 0.26, ``measure.perimeter_crofton``; Legland et al., Image Anal. Stereol. 26
(2007) 83.
"""


def boundary_lengths(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """Return parts of the lengths of the objects' boundaries, one for each pattern of pixels.

    Args:
        labels: ``(rows, width)``, not negative. Of an image, each row has to be seen once together
            with the next; beyond the image lies background.

    Returns:
        Labels ``(n,)`` and lengths in pixels ``(n,)``, which add up by label.
    """
    padded = np.pad(labels, ((0, 0), (1, 1)))
    square = (padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:])
    mixed = np.logical_or.reduce([square[0] != each for each in square[1:]])
    corners = np.stack([each[mixed] for each in square])
    found, lengths = [corners[0][:0]], [np.zeros(0)]
    for corner in corners:
        same = corners == corner
        pattern = np.tensordot(_WEIGHTS, same, 1)
        inside = corner > 0
        found.append(corner[inside])
        lengths.append((_LENGTHS[pattern] / same.sum(axis=0))[inside])  # each object once
    return np.concatenate(found), np.concatenate(lengths)


def ellipse_axes(
    yy: NDArray[np.float64], xx: NDArray[np.float64], yx: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the axes of the ellipses that have the same second moments as the objects.

    Args:
        yy: Variance of the rows of an object's pixels, ``(n,)``.
        xx: Variance of the columns.
        yx: Covariance of both.

    Returns:
        Long and short axis, whole and not half, as ``regionprops`` of scikit-image; 0 for objects
        of one pixel.
    """
    middle, apart = (yy + xx) / 2, np.hypot((yy - xx) / 2, yx)
    long = 4 * np.sqrt(np.maximum(middle + apart, 0))
    short = 4 * np.sqrt(np.maximum(middle - apart, 0))
    return long, short


def circularity(area: NDArray[np.float64], perimeter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 4 pi area / perimeter**2: 1 for a circle, less for what is long or has bays.

    Source: ImageJ, ``ij/measure/ResultsTable`` and its manual, section 30.7, which also cuts at 1:
    of few pixels the value has no meaning.
    """
    found: NDArray[np.float64] = np.minimum(4 * np.pi * area / perimeter**2, 1.0)
    return found
