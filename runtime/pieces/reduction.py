"""An image that is too large to draw whole, and its labels: reduced until they fit a screen or so.

In: the image and its labels, band by band. Out: both, reduced by a whole factor, for the overlay.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.windows.averaging import block_means
from samzoo.runtime.windows.source import ImageSource

from .result import Result

LARGEST = 4096
"""Pixels of the longer side of the picture (own choice)."""


def reduced(source: ImageSource, result: Result) -> tuple[Array, Labels2D]:
    """Reduce an image and its labels.

    Args:
        source: The image.
        result: Its labels.

    Returns:
        The image, each pixel the mean of ``factor`` by ``factor``, and the labels of their first
        pixels; both of one size, at most ``LARGEST`` a side.
    """
    height, width = source.size
    factor = -(-max(height, width) // LARGEST)
    size = (-(-height // factor), -(-width // factor))
    image = np.zeros((*size, source.channels)[: 2 if source.channels == 1 else 3], source.dtype)
    labels = np.zeros(size, np.int32)
    step = max(1, result.band_height // factor)  # rows of the picture at once
    for row in range(0, size[0], step):
        y0, y1 = row * factor, min((row + step) * factor, height)
        band = source.read((y0, 0, y1, width))
        if factor > 1:
            band = block_means(band, factor)  # cut off to the image's type below
        image[row : row + len(band)] = band
    start = 0
    for band_of_labels in result.bands():
        first = -start % factor
        chosen = band_of_labels[first::factor, ::factor]
        row = (start + first) // factor
        labels[row : row + len(chosen)] = chosen
        start += len(band_of_labels)
    return image, labels
