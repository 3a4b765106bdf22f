"""What all decoders share: a budget of pixels, and one error for whatever they raise.

In: a path to a file from a stranger. Out: its first bytes, or one clear error.
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

import tifffile
from PIL import Image

from samzoo.runtime.budgets import MAX_PIXELS, MAX_PLANE_PIXELS
from samzoo.runtime.errors import ImageError, NotFoundError, SamzooError, StorageError, shown

# Decoders answer damaged files with nearly any exception; each was seen on files with changed or
# missing bytes. A mistake in our own code would show as "cannot be decoded" too, so the tests
# compare values and not only success.
DECODER_ERRORS = (
    ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError,
    MemoryError, OSError, RuntimeError, SyntaxError, TypeError, ValueError,
    Image.DecompressionBombError, lzma.LZMAError, struct.error, tifffile.TiffFileError, zlib.error,
)  # fmt: skip


def first_bytes(path: Path, count: int = 512) -> bytes:
    """Read the beginning of a file.

    Raises:
        NotFoundError: There is no such file.
        ImageError: It is a folder or empty.
        StorageError: It cannot be read.
    """
    if path.is_dir():
        raise ImageError(f"{path}: is a folder; give one image file")
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    try:
        with path.open("rb") as file:
            start = file.read(count)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not start:
        raise ImageError(f"{path}: the file is empty; export or copy it again")
    return start


def check_budget(path: str | Path, height: int, width: int) -> None:
    """Refuse an image without pixels or with too many to decode it as a whole.

    Raises:
        ImageError: There are no pixels, or more than ``MAX_PIXELS``.
    """
    if height == 0 or width == 0:
        raise ImageError(f"{path}: the image has no pixels ({height} x {width})")
    if height * width > MAX_PIXELS:
        raise ImageError(
            f"{path}: {height} x {width} is {height * width} pixels, allowed are {MAX_PIXELS}; "
            "cut the image into parts or reduce it"
        )


def check_plane(path: str | Path, height: int, width: int) -> None:
    """Refuse a plane that is too large even to be read in pieces.

    Raises:
        ImageError: It has more than ``MAX_PLANE_PIXELS``.
    """
    if height * width > MAX_PLANE_PIXELS:
        raise ImageError(
            f"{path}: {height} x {width} is {height * width} pixels, allowed are "
            f"{MAX_PLANE_PIXELS}; the file is damaged, or does not say what it holds"
        )


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
    except DECODER_ERRORS as error:
        if "imagecodecs" in str(error):
            raise ImageError(
                f"{path}: decoding this {kind} needs another package ({shown(str(error))}); run: "
                "pip install imagecodecs"
            ) from error
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
