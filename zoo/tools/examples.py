"""The example image of a trial: discs in rows, of any size and contrast, and points on them.

In: a size. Out: an image and prompts, the same on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samzoo.zoo.packages.self_test import SHAPE, picture

CENTERS = ((14, 14), (16, 44), (36, 24), (34, 50))
"""(row, column) of the discs of ``self_test.picture``."""

POINTS = 6
"""Points in an image, each on a disc of its own (own choice: cheap to decode)."""

LOW_CONTRAST = (20, 120)
"""Darkest and brightest value of an image that does not use all of 0..255."""

Size = tuple[int, int]


def example_image(size: Size, *, low_contrast: bool = False) -> NDArray[np.uint8]:
    """Return the picture of the package's own test, repeated and stretched.

    Args:
        size: (height, width).
        low_contrast: Use the values ``LOW_CONTRAST`` instead of 0..255.

    Returns:
        ``size`` uint8.
    """
    tile = picture()
    repeats = [-(-side // length) for side, length in zip(size, tile.shape, strict=True)]
    image = np.tile(tile, repeats)[: size[0], : size[1]].astype(np.float64)
    low, high = LOW_CONTRAST if low_contrast else (0, 255)
    image = low + (image - image.min()) * ((high - low) / (image.max() - image.min()))
    result: NDArray[np.uint8] = np.rint(image).astype(np.uint8)
    return result


def example_points(size: Size) -> NDArray[np.float32]:
    """Return points on discs that lie inside, evenly chosen over the image.

    Args:
        size: (height, width).

    Returns:
        ``(POINTS, 2)`` (x, y); fewer where the image has fewer discs.
    """
    found = [
        (column + x, row + y)
        for y in range(0, size[0], SHAPE[0])
        for x in range(0, size[1], SHAPE[1])
        for row, column in CENTERS
        if y + row < size[0] - 9 and x + column < size[1] - 9
    ]
    chosen = np.linspace(0, len(found) - 1, min(POINTS, len(found))).round().astype(int)
    return np.array([found[index] for index in chosen], np.float32)
