"""One plane of a TIFF, decoded from its pages.

In: a level of an image, and the index of a plane in it. Out: the plane's samples as stored. What
tifffile cannot decode without imagecodecs, such as LZW, Pillow does.
"""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from samzoo.runtime.budgets import MAX_CHUNK_BYTES, MAX_CHUNKS
from samzoo.runtime.errors import ImageError, SamzooError, shown
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.pixels.decoders import DECODER_ERRORS

from .meaning import WHITE_IS_ZERO, YCBCR

EXPANSION, SLACK = 2, 2**16
"""Factor and bytes by which a segment that does not compress may grow (own choice: LZW grows by at
most a half, Deflate by a thousandth)."""


def decode_plane(
    path: str, level: tifffile.TiffPageSeries, index: tuple[int | slice, ...]
) -> Array:
    """Decode a plane.

    Args:
        path: The file.
        level: A level of an image in the opened file.
        index: An index into the level's array that takes whole rows and columns.

    Returns:
        ``level.asarray()[index]``, of which only the pages that it needs are decoded.

    Raises:
        ImageError: A page lies in a file that is missing, or needs a package to be decoded.
    """
    inner = _inner_axes(level)
    if inner is None:
        return np.asarray(level.asarray()[index])
    outer = len(level.shape) - inner
    pages = _page_grid(level, outer)[index[:outer]]
    if not isinstance(pages, np.ndarray):
        return _decode_page(path, pages).reshape(level.shape[outer:])[index[outer:]]
    decoded = [_decode_page(path, page).reshape(level.shape[outer:]) for page in pages.flat]
    together = np.stack(decoded).reshape(*pages.shape, *level.shape[outer:])
    return together[(*(slice(None) for _ in pages.shape), *index[outer:])]


def check_segments(path: str, page: tifffile.TiffPage, *, mapped: bool) -> None:
    """Refuse tiles or strips that are too large, too many, or larger than what they decode to.

    Args:
        path: The file.
        page: The page whose segments are checked, before any of them is decoded.
        mapped: The file is mapped and not decoded, so that a strip may be of any size.

    Raises:
        ImageError: A segment is one of these.
    """
    size = math.prod(page.chunks) * max(1, page.dtype.itemsize if page.dtype else 1)
    count = math.prod(page.chunked)
    if count > MAX_CHUNKS:
        raise ImageError(
            f"{path}: holds {count} tiles or strips, allowed are {MAX_CHUNKS}; export it again "
            "with larger ones"
        )
    if size > MAX_CHUNK_BYTES and not mapped:
        raise ImageError(
            f"{path}: a tile or strip of {page.chunks} values has {size} bytes, allowed are "
            f"{MAX_CHUNK_BYTES}; export it again in tiles"
        )
    stored = max(page.databytecounts, default=0)
    if page.compression != 1 and stored > EXPANSION * size + SLACK:
        raise ImageError(
            f"{path}: a tile or strip of {size} bytes is compressed to {stored}, which would hold "
            "more; the file is damaged, export it again"
        )


def check_pages(
    path: str, level: tifffile.TiffPageSeries, index: tuple[int | slice, ...]
) -> list[str]:
    """Refuse a plane whose page lies in a file that is not there, and note one in another file.

    An OME-TIFF may be one of several files; tifffile fills the planes of missing files with zeros,
    and reads the same planes whichever of the files is named.

    Returns:
        A sentence if the plane lies in another file than the named one.

    Raises:
        ImageError: The page is missing.
    """
    inner = _inner_axes(level)
    if inner is None:
        return []
    pages = _page_grid(level, len(level.shape) - inner)[index[: len(level.shape) - inner]]
    found = pages.flat if isinstance(pages, np.ndarray) else [pages]
    if any(page is None for page in found):
        raise ImageError(
            f"{path}: the plane lies in another file of this OME-TIFF, which is missing; copy all "
            "files of the data set into one folder"
        )
    others = sorted({file_of(page) for page in found} - {os.path.basename(path)})
    if not others:
        return []
    return [
        f"is one file of an OME-TIFF of several, and the pixels that were read lie in "
        f"{', '.join(others)}; every file of the data set gives them"
    ]


def file_of(page: Any) -> str:
    """Return the name of the file in which a page lies."""
    return str(page.parent.filehandle.name)


def _inner_axes(level: tifffile.TiffPageSeries) -> int | None:
    """Return how many of a level's last axes lie in one page; None if that is not clear."""
    pages = len(level.pages)
    for outer in range(len(level.shape) + 1):
        if math.prod(level.shape[:outer]) == pages:
            inside = math.prod(level.shape[outer:])
            return len(level.shape) - outer if inside == level.keyframe.size else None
    return None


def _page_grid(level: tifffile.TiffPageSeries, outer: int) -> NDArray[Any]:
    grid = np.empty(level.shape[:outer], object)
    for place, number in zip(np.ndindex(grid.shape), range(len(level.pages)), strict=True):
        grid[place] = level.pages[number]
    return grid


def _decode_page(path: str, page: Any) -> Array:
    try:
        return np.asarray(page.asarray())
    except (ImportError, LookupError, TypeError, ValueError) as error:
        if not _needs_codec(page, error):
            raise
        return _by_pillow(path, page.aspage())


def _needs_codec(page: Any, error: Exception) -> bool:
    whole = page.keyframe.bitspersample in (1, 8, 16, 32, 64)
    return isinstance(error, ImportError) or "imagecodecs" in str(error) or not whole


def _by_pillow(path: str, page: tifffile.TiffPage) -> Array:
    """Decode a page with Pillow into the samples that tifffile would have given."""
    advice = (
        f"{path}: TIFF compression {page.compression!s} of {page.dtype} pixels needs another "
        "package; run: pip install imagecodecs"
    )
    try:
        with Image.open(path) as image:
            image.seek(page.index)
            pixels = np.array(image.convert("RGB") if page.photometric == YCBCR else image)
    except DECODER_ERRORS as error:
        if isinstance(error, SamzooError):
            raise
        raise ImageError(f"{advice} (Pillow: {shown(str(error))})") from error
    planar = page.planarconfig == 2 and pixels.ndim == 3
    pixels = np.moveaxis(pixels, -1, 0) if planar else pixels
    # Pillow reads some 16-bit files as 8-bit ones; refusing is better than losing bits silently.
    if pixels.dtype != page.dtype or pixels.size != page.size:
        raise ImageError(advice)
    if page.photometric == WHITE_IS_ZERO and page.bitspersample <= 8:  # it has inverted them
        pixels = ~pixels
    if page.bitspersample in (2, 4) and page.photometric <= 1:  # it has spread them over 0..255
        pixels = pixels // (255 // (2**page.bitspersample - 1))
    return pixels
