"""The pictures of a package: a sample of each tensor, and the cover.

In: ``Value``s. Out: TIFF files that imageio reads, and a PNG of two squares.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.overlay import draw_overlay

from .tensors import Tensor, Value

COVER_FILE = "cover.png"
COVER_SIDE = 400
"""Side of each of the cover's two squares; the spec asks for 2:1 and less than 500 kB."""


def sample_file(value: Value) -> str:
    """Return the name of a tensor's sample."""
    return f"sample_{value.name}.tif"


def write_sample(folder: Path, value: Value) -> None:
    """Write a tensor's test value as a TIFF, its axes of length 1 left out."""
    import tifffile

    array = value.test.squeeze()
    array = array.reshape((1,) * (2 - array.ndim) + array.shape)
    tifffile.imwrite(folder / sample_file(value), array, photometric="minisblack")


def write_cover(folder: Path, image: Tensor, labels: Labels2D) -> None:
    """Draw the image, and beside it the image with its objects.

    Args:
        folder: Where to write ``COVER_FILE``.
        image: ``(1, 3, side, side)``.
        labels: ``(side, side)``.
    """
    from PIL import Image

    rgb = np.moveaxis(image[0], 0, -1).astype(np.uint8)
    pair = [
        Image.fromarray(picture).resize((COVER_SIDE, COVER_SIDE))
        for picture in (rgb, draw_overlay(rgb, labels))
    ]
    both = np.concatenate([np.asarray(each) for each in pair], axis=1)
    Image.fromarray(both).save(folder / COVER_FILE)


def objects(outputs: Mapping[str, Tensor], parameters: AisParameters) -> Labels2D:
    """Return the objects in a package's outputs: of AIS maps all, else the prompted one."""
    if "ais_maps" in outputs:
        foreground, center, boundary = outputs["ais_maps"][0]
        return segment_from_maps(foreground, center, boundary, parameters=parameters)
    mask: NDArray[np.int32] = outputs["masks"][0, 0].astype(np.int32)
    return mask
