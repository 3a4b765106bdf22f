"""TIFF, PNG and JPEG files decoded into arrays.

In: a path to a file from a stranger. Out: the pixels as stored, ``(height, width)`` or ``(height,
width, 3)``; dtypes and values are not checked yet.
"""

from __future__ import annotations

import logging
import lzma
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from samzoo.runtime.errors import ImageError, NotFoundError, SamzooError, StorageError, shown
from samzoo.runtime.formats.arrays import Array

MAX_PIXELS = 2**28
"""Largest image that is decoded, 16384 x 16384 pixels (own choice: its embeddings and the AIS
decoder's float32 maps, 3 GB, still fit into a workstation's memory)."""

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")
"""Suffixes of the files that count as images in a folder; lower case."""

ALLOWED_SHAPES = "(height, width) grey or (height, width, 3) RGB"

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PILLOW_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")

# Decoders answer damaged files with nearly any exception; each was seen on files with changed or
# missing bytes. A mistake in this module would show as "cannot be decoded" too, so the tests
# compare values and not only success.
_DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    Image.DecompressionBombError, lzma.LZMAError, struct.error, tifffile.TiffFileError, zlib.error,
)  # fmt: skip


def decode(path: Path, *, keep_indices: bool = False) -> Array:
    """Decode one image file; its first bytes tell the format, not its suffix.

    Values are returned as stored: a TIFF's "white is zero" is not inverted, a JPEG's EXIF
    orientation is not applied. Pillow reads PNG files of 16 bits a colour with 8.

    Args:
        path: A TIFF, PNG or JPEG file with one two-dimensional image.
        keep_indices: Return a palette image's indices instead of its colours.

    Returns:
        ``(height, width)`` or ``(height, width, 3)``, native byte order, any dtype. An alpha
        channel is dropped. A one-bit image is boolean.

    Raises:
        NotFoundError: There is no such file.
        ImageError: Not such a file, a stack, an unknown number of channels, too many pixels,
            damaged, or compressed in a way that needs ``imagecodecs``.
        StorageError: The file exists and cannot be read.
    """
    start = _first_bytes(path)
    if start.startswith(_TIFF_MAGIC):
        kind, read = "TIFF", _read_tiff
    elif start.startswith(_PILLOW_MAGIC):
        kind, read = "PNG or JPEG", _read_pillow
    else:
        raise ImageError(
            f"{path}: not a TIFF, PNG or JPEG file (it starts with {shown(start)}); "
            "export the image again in one of these formats"
        )
    with decoding(path, kind):
        pixels = read(path, keep_indices)
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)


def is_tiff(path: Path) -> bool:
    """Tell by its first bytes whether a file is a TIFF.

    Raises:
        NotFoundError: There is no such file.
        ImageError: It is a folder or empty.
        StorageError: It cannot be read.
    """
    return _first_bytes(path).startswith(_TIFF_MAGIC)


def _first_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; give one image file")
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not start:
        raise ImageError(f"{path}: the file is empty; export or copy it again")
    return start


@contextmanager
def decoding(path: str | Path, kind: str) -> Iterator[None]:
    """Turn what a decoder raises on a damaged file into one error, and keep the decoder quiet.

    Args:
        path: The file, for the message.
        kind: The kind of file, for the message.

    Raises:
        ImageError: The file cannot be decoded.
    """
    try:
        with _quiet_decoders():
            yield
    except SamzooError:
        raise
    except _DECODER_ERRORS as error:
        raise ImageError(
            f"{path}: the {kind} file is damaged or incomplete and cannot be decoded "
            f"({shown(str(error))}); export or copy it again"
        ) from error


@contextmanager
def _quiet_decoders() -> Iterator[None]:
    """Keep tifffile's log lines off stderr and Pillow's warnings away from the user.

    A null handler replaces only Python's last resort, printing to stderr. An application that has
    set up logging still gets the lines.
    """
    logger = logging.getLogger("tifffile")
    handler = logging.NullHandler()
    logger.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.removeHandler(handler)


def _check_budget(path: Path, height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise ImageError(f"{path}: the image has no pixels ({height} x {width})")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {height} x {width} is {height * width} pixels, allowed are {MAX_PIXELS}; "
            "cut the image into parts or reduce it"
        )


def _read_tiff(path: Path, keep_indices: bool) -> Array:
    with tifffile.TiffFile(path) as file:
        series = [item for item in file.series if not item.keyframe.is_reduced]
        if len(series) != 1:
            raise ImageError(
                f"{path}: holds {len(series)} images of different kinds, expected one of shape "
                f"{ALLOWED_SHAPES}; save the one to use as a file of its own"
            )
        image, page = series[0], series[0].keyframe
        shape, axes = _without_single_axes(image.shape, image.axes)
        channel_axis = _channel_axis(path, shape, axes, is_rgb=page.photometric == 2)
        height, width = (size for axis, size in enumerate(shape) if axis != channel_axis)
        _check_budget(path, height, width)
        # CMYK, YCbCr and L*a*b* have three or four channels that are not RGB: Pillow converts.
        if page.photometric not in (0, 1, 2, 3):
            return _read_pillow(path, keep_indices)
        try:
            pixels: Array = image.asarray().reshape(shape)
        except (ImportError, LookupError, ValueError) as error:
            if not isinstance(error, ImportError) and "imagecodecs" not in str(error):
                raise
            return _read_rare_codec(path, keep_indices, page)
        if page.photometric == 3 and page.colormap is not None and not keep_indices:
            return np.moveaxis(page.colormap[:, pixels] >> 8, 0, -1).astype(np.uint8)
    if channel_axis is not None:
        pixels = np.moveaxis(pixels, channel_axis, -1)[..., :3]
    return pixels


def _without_single_axes(shape: tuple[int, ...], axes: str) -> tuple[tuple[int, ...], str]:
    """Drop axes of length one, but never height and width, which may be one pixel."""
    kept = [
        (size, axis) for size, axis in zip(shape, axes, strict=True) if size != 1 or axis in "YX"
    ]
    return tuple(size for size, _ in kept), "".join(axis for _, axis in kept)


def _channel_axis(path: Path, shape: tuple[int, ...], axes: str, *, is_rgb: bool) -> int | None:
    """Return the axis of the channels, None for a grey image, or refuse the shape.

    tifffile names axes: S samples, C channels, Z depth, T time, Q or I unknown. An unnamed axis of
    length three counts as colours (own choice: common Python code writes colours that way). An
    axis of length four counts as colours and alpha, unless the file calls it channels.
    """
    if len(shape) == 2 and axes == "YX":
        return None
    extra = [axis for axis in range(len(shape)) if axes[axis] not in "YX"]
    if len(shape) == 3 and len(extra) == 1:
        count, name = shape[extra[0]], axes[extra[0]]
        if name in "SCQI" and (count == 3 or (count == 4 and (is_rgb or name != "C"))):
            return extra[0]
    found = ", ".join(f"{name} {size}" for name, size in zip(axes, shape, strict=True))
    raise ImageError(
        f"{path}: found a stack or several channels of shape {shape} (axes: {found}), allowed are "
        f"{ALLOWED_SHAPES}; save one plane or channel as a file of its own, or pass --plane, "
        "--channel or --stack to samzoo segment"
    )


def _read_rare_codec(path: Path, keep_indices: bool, page: tifffile.TiffPage) -> Array:
    """Read a TIFF with Pillow whose compression tifffile cannot decode (LZW, JPEG, PackBits)."""
    advice = (
        f"{path}: TIFF compression {page.compression!s} of {page.dtype} pixels needs another "
        "package; run: pip install imagecodecs"
    )
    try:
        pixels = _read_pillow(path, keep_indices)
    except _DECODER_ERRORS as error:
        if isinstance(error, SamzooError):
            raise
        raise ImageError(f"{advice} (Pillow: {shown(str(error))})") from error
    # Pillow reads some 16-bit files as 8-bit ones; refusing is better than losing bits silently.
    if page.photometric != 3 and pixels.dtype != page.dtype:
        raise ImageError(advice)
    return pixels


def _read_pillow(path: Path, keep_indices: bool) -> Array:
    with Image.open(path) as image:
        _check_budget(path, image.height, image.width)
        mode = image.mode
        is_grey = mode in ("1", "L", "I", "F") or mode.startswith("I;16")
        if is_grey or (mode == "P" and keep_indices):
            return np.array(image)
        if mode in ("LA", "La"):
            return np.array(image.convert("LA"))[..., 0]
        return np.array(image.convert("RGB"))
