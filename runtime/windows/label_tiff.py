"""Labels of any size, written as a tiled TIFF.

In: bands of labels. Out: a file, complete or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tifffile
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Labels2D, Progress
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.label_tags import PixelSizes, tags_of_labels
from samzoo.runtime.images.origin import LabelFacts


class Bands(Protocol):
    """Labels of an image, band by band from top to bottom."""

    size: Size
    count: int
    dtype: np.dtype[Any]

    @property
    def band_height(self) -> int:
        """Rows of a band; the last band may have fewer."""

    def bands(self) -> Iterator[Labels2D]:
        """Yield each band, ``(rows, width)`` int32."""


TILE = 512
"""Largest side of a tile."""


def write_label_tiff(
    path: Path,
    result: Bands,
    progress: Progress | None = None,
    *,
    facts: LabelFacts = None,
    sizes: PixelSizes | None = None,
) -> None:
    """Write a label image, zlib compressed, uint16 up to label 65535 and int32 above.

    Args:
        path: ``.tif`` or ``.tiff``.
        result: The labels.
        progress: Called with ("write", tiles done, tiles in all).
        facts: How the labels were made, for the file's record.
        sizes: Sizes of pixels by axis, with their units.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    side = math.gcd(result.band_height, TILE)  # no tile may lie in two bands
    bytes_of_image = math.prod(result.size) * result.dtype.itemsize
    with replacing(path) as temporary:
        tifffile.imwrite(
            temporary,
            _tiles(result, side, progress),
            shape=result.size,
            dtype=result.dtype,
            tile=(side, side),
            bigtiff=bytes_of_image > 2**31,
            **tags_of_labels(path, largest=result.count, sizes=sizes, facts=facts),
        )


def _tiles(result: Bands, side: int, progress: Progress | None) -> Iterator[NDArray[Any]]:
    total = math.ceil(result.size[0] / side) * math.ceil(result.size[1] / side)
    done = 0
    for band in result.bands():
        for y in range(0, band.shape[0], side):
            for x in range(0, band.shape[1], side):
                part = band[y : y + side, x : x + side].astype(result.dtype)
                missing = [(0, side - length) for length in part.shape]
                done += 1
                if progress is not None:
                    progress("write", done, total)
                yield np.pad(part, missing)
