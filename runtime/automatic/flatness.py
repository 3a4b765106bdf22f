"""Tiles in which nothing stands out, which need not be encoded.

In: a tile's pixels, and what the model was trained on. Out: whether the tile can hold an object.
"""

from __future__ import annotations

import numpy as np
from bioimage_cpp.filters import gaussian_smoothing

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.config import ModelConfig

from .doubts import known_of

FLAT = 0.04
"""Range of a smoothed tile, as a share of the image's range, below which it holds no object.
Measured on DSB 2018 in fluorescence, training and validation images: at least 0.126 in 2607 tiles
with a nucleus, and below 0.04 in 192 of the 245 without (``benchmarks/README.md``, "Levers")."""

SIGMA = 3.0
"""Smoothing in model pixels, against noise (own choice: a tenth of the objects' diameter)."""


def is_flat(pixels: Array, config: ModelConfig) -> bool:
    """Tell whether nothing in a tile can be an object.

    Args:
        pixels: From ``to_0_255``, ``(height, width, 3)``, of the tile's outer window.
        config: The model's config.

    Returns:
        True if the smoothed pixels hardly differ. Always False for a model that was not trained on
        objects on a dark background alone, that takes colours, or that does not stretch between
        percentiles: there the rule has not been measured.
    """
    known = known_of(config)
    if known is None or known.background != "dark" or known.colour:
        return False
    if config.preprocessing.intensity != "percentile":
        return False
    return smoothed_range(pixels, config) < FLAT


def smoothed_range(pixels: Array, config: ModelConfig) -> float:
    """Return the range of a tile's smoothed pixels, as a share of the image's range.

    Args:
        pixels: As in ``is_flat``.
        config: The model's config.
    """
    size = pixels.shape[:2]
    scale = config.preprocessing.scale or config.image_size / max(size)
    grey = np.ascontiguousarray(pixels.mean(axis=2, dtype=np.float32))
    sigma = min(SIGMA / scale, (min(size) - 1) / 3)
    smoothed = gaussian_smoothing(grey, sigma) if sigma > 0 else grey
    return float(np.ptp(smoothed)) / 255
