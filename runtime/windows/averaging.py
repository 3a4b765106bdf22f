"""Means of blocks of pixels, which reduce an image without rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def block_means(values: NDArray[Any], factor: int) -> NDArray[np.float64]:
    """Reduce an image by a whole factor.

    Args:
        values: ``(height, width, ...)`` of any real type.
        factor: Number of rows and columns of a block.

    Returns:
        ``(ceil(height / factor), ceil(width / factor), ...)``. The last row and column are
        repeated where a block reaches beyond the image.
    """
    pads = [(0, -length % factor) for length in values.shape[:2]]
    padded = np.pad(values, pads + [(0, 0)] * (values.ndim - 2), mode="edge")
    rows, columns = padded.shape[0] // factor, padded.shape[1] // factor
    blocks = padded.reshape(rows, factor, columns, factor, *values.shape[2:])
    means: NDArray[np.float64] = blocks.mean(axis=(1, 3), dtype=np.float64)
    return means
