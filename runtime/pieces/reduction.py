"""A large image and its labels, reduced to a size that can be drawn and looked at.

In: an image and its labels, band by band. Out: both, reduced by a whole factor, for the overlay.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.windows.averaging import block_means
from samzoo.runtime.windows.source import ImageSource

from .result import Result

LARGEST = 4096
"""Most pixels along the longer side of the picture (own choice)."""


def reduced(source: ImageSource, result: Result) -> tuple[Array, Labels2D]:
    """Reduce an image and its labels.

    Args:
        source: The image.
        result: Its labels.

    Returns:
        The image, in which each pixel is the mean of a block, and labels, each that of the block's
        first pixel. Both have the same size, with sides of at most ``LARGEST``.
    """
    height, width = source.size
    factor = -(-max(height, width) // LARGEST)
    size = (-(-height // factor), -(-width // factor))
    image = np.zeros((*size, source.channels)[: 2 if source.channels == 1 else 3], source.dtype)
    labels = np.zeros(size, np.int32)
    step = max(1, result.band_height // factor)  # rows of the picture that are made at once
    for row in range(0, size[0], step):
        y0, y1 = row * factor, min((row + step) * factor, height)
        band = source.read((y0, 0, y1, width))
        if factor > 1:
            band = block_means(band, factor)  # rounded down to the image's dtype below
        image[row : row + len(band)] = band
    start = 0
    for band_of_labels in result.bands():
        first = -start % factor
        chosen = band_of_labels[first::factor, ::factor]
        row = (start + first) // factor
        labels[row : row + len(chosen)] = chosen
        start += len(band_of_labels)
    return image, labels
