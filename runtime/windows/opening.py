"""Image files of all formats, opened for reading window by window.

In: a ``SourceSpec``. Out: an ``ImageSource``.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.images.image_files import is_tiff
from samzoo.runtime.images.reading import read_image

from .source import ArrayReader, ImageSource, SourceSpec
from .tiff_source import TiffReader
from .zarr_source import ZarrReader, is_zarr


def open_source(spec: SourceSpec) -> ImageSource:
    """Open one plane of an image.

    Args:
        spec: The plane to open.

    Returns:
        The source. PNG and JPEG are decoded as a whole.

    Raises:
        NotFoundError: There is no such file.
        ImageError: The file is damaged or not an image.
        InputError: The file has no such level, series, channel or plane.
        MissingDependencyError: Reading it needs the extra ``large``.
    """
    reader = _reader(spec)
    return ImageSource(reader, spec.path)


def stack_shape(spec: SourceSpec) -> tuple[int, ...]:
    """Return the length of each axis that counts planes (slices, time points), height and width.

    Raises:
        SamzooError: As ``open_source``.
    """
    reader = _reader(dataclasses.replace(spec, plane=0))
    reader.close()
    if isinstance(reader, ArrayReader):
        return reader.shape[:2]
    return reader.planes.stack_shape


def count_planes(spec: SourceSpec) -> int:
    """Count the planes of a file.

    Raises:
        SamzooError: As ``open_source``.
    """
    return math.prod(stack_shape(spec)[:-2])


def _reader(spec: SourceSpec) -> ArrayReader | TiffReader | ZarrReader:
    path = Path(spec.path)
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    if path.is_dir() and is_zarr(path):
        return ZarrReader(spec)
    if is_tiff(path):  # raises an error for a folder
        return TiffReader(spec)
    chosen = [name for name in ("level", "series", "channel", "plane") if getattr(spec, name)]
    if chosen:
        raise InputError(f"{path}: --{chosen[0]}: a PNG or JPEG holds one image")
    return ArrayReader(read_image(path))
