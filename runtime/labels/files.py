"""Label files: formats that keep labels exactly are read, and others refused with the way out.

In: a path to a file from a stranger. Out: int32 labels, as ``label_arrays`` has them.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from samzoo.runtime.budgets import MAX_PIXELS
from samzoo.runtime.errors import ImageError, StorageError
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.label_arrays import check_labels
from samzoo.runtime.images.opening import read_plane
from samzoo.runtime.pixels.decoders import decoding
from samzoo.runtime.pixels.kinds import SUFFIXES
from samzoo.runtime.pixels.reader import Window
from samzoo.runtime.pixels.source_spec import SourceSpec

from .shapes import advice_on_shapes

LABEL_FILE_SUFFIXES = (*SUFFIXES, ".npy")
"""Suffixes of the files that count as label images in a folder; lower case."""

_NUMPY_MAGIC = b"\x93NUMPY"
_FOREIGN = (
    (
        b"\xff\xd8\xff",
        "a JPEG file, which changes label numbers: every pixel near an outline becomes another "
        "object. Save the labels as TIFF or PNG where they were made; this file cannot be repaired",
    ),
    (
        b"PK\x03\x04",
        "a zip file, perhaps of ImageJ ROIs. Open the image and the ROIs in Fiji, run Image > "
        "Overlay > From ROI Manager, then Plugins > MorphoLibJ or LOCI > ROI Map, and save the "
        "label image as TIFF",
    ),
    (b"Iout", "an ImageJ ROI; draw it into a label image in Fiji and save that as TIFF"),
    (b"GIF8", "a GIF file; save the labels as PNG or TIFF"),
    (b"\x89HDF", "an HDF5 file; export its labels as TIFF"),
    (b"MATLAB", "a MATLAB file; write its label matrix with imwrite(uint16(labels), 'a.png')"),
)
"""Files that people give as labels, by their first bytes, and what to do."""

_JPEG_COMPRESSIONS = (6, 7)
"""Baseline JPEG inside a TIFF. Source: TIFF 6.0 and Adobe's technical note 2."""

PICKLED = (
    "holds a pickled Python object, as Cellpose's _seg.npy does; samzoo does not run what is in "
    "a file. Export the masks: in Cellpose, File > Save masks as PNG/tif; or in Python, if you "
    "trust the file: tifffile.imwrite('a_masks.tif', numpy.load('a_seg.npy', "
    "allow_pickle=True).item()['masks'])"
)


def read_labels(path: str | Path) -> Labels2D:
    """Read one label image.

    Args:
        path: A TIFF, PNG or .npy file with one integer for each object and 0 for background. Whole
            numbers in floating point files count as integers; a palette image's indices are its
            labels.

    Returns:
        ``(height, width)`` int32; -1 where nobody annotated, which only signed files can say.
        Possibly without any object. Objects with very large ids are numbered anew from 1, in the
        order of their ids.

    Raises:
        NotFoundError: There is no such file.
        ImageError: The file is damaged, JPEG, RGB or a stack, or holds fractions or other negative
            values.
        StorageError: The file exists and cannot be read.
    """
    return read_annotation(path)


def read_annotation(
    path: str | Path, *, ignore: Collection[int] = (), window: Window | None = None
) -> Labels2D:
    """Read one label image, in which some ids may mean "not annotated", or a window of it.

    Args:
        path: As for ``read_labels``.
        ignore: Ids that mean "not annotated", besides -1.
        window: What to read; None for all. Very large ids are numbered anew in each window.

    Returns:
        As from ``read_labels``.

    Raises:
        NotFoundError: There is no such file.
        ImageError: As for ``read_labels``.
        StorageError: The file exists and cannot be read.
    """
    path = Path(path)
    is_numpy = _is_numpy(path)
    if is_numpy:
        array = _read_numpy(path)
        y0, x0, y1, x1 = window or (0, 0, *array.shape[:2])
        array = array[y0:y1, x0:x1]
    else:
        array = read_plane(SourceSpec(str(path)), as_labels=True, window=window)
    _refuse_wrapped(array, ignore, path)
    return check_labels(array, where=str(path), ignored_allowed=True, ignore=ignore)


def _refuse_wrapped(array: Array, ignore: Collection[int], path: Path) -> None:
    """Refuse an id that is probably -1, stored without a sign: the largest, far above all others.

    Bytes are left out, because 255 is an id of many honest files and of masks.
    """
    if array.dtype.kind != "u" or array.dtype.itemsize < 2 or not array.size:
        return
    largest = int(np.iinfo(array.dtype).max)
    if largest in ignore or int(array.max()) != largest:
        return
    second = int(array.max(where=array != largest, initial=0))
    if 0 < second < largest // 2:
        raise ImageError(
            f"{path}: found the id {largest}, which is -1 stored as {array.dtype}, far above all "
            f"others (up to {second}). If it means not annotated, pass --ignore {largest}; if it "
            "is an object, give it the next free number"
        )


def _is_numpy(path: Path) -> bool:
    """Tell a NumPy file from an image, and refuse files that cannot hold labels."""
    if path.is_dir() or not path.exists():
        return False  # ``read_plane`` says so
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    for magic, what in _FOREIGN:
        if start.startswith(magic):
            raise ImageError(f"{path}: found {what}")
    advice = advice_on_shapes(path)
    if advice is not None:
        raise ImageError(f"{path}: {advice}")
    if start.startswith((b"II", b"MM")):
        _refuse_lossy_tiff(path)
    return start.startswith(_NUMPY_MAGIC)


def _refuse_lossy_tiff(path: Path) -> None:
    import tifffile

    with decoding(path, "TIFF"), tifffile.TiffFile(path) as file:
        compression = int(file.pages.first.compression)
        axes, shape = file.series[0].axes, file.series[0].shape
    if compression in _JPEG_COMPRESSIONS:
        raise ImageError(
            f"{path}: found a TIFF with JPEG compression, which changes label numbers; save the "
            "labels without it (LZW and ZIP keep them)"
        )
    sizes = [(axis, size) for axis, size in zip(axes, shape, strict=True) if size > 1]
    planes = [f"{axis} {size}" for axis, size in sizes if axis not in "YXS"]
    if planes and len(sizes) > 2:
        raise ImageError(
            f"{path}: found a stack of labels ({', '.join(planes)}), expected one label image for "
            "one image; save each plane beside its image. If each plane is the mask of one "
            "object, number them into one image: labels[plane > 0] = number"
        )


def _read_numpy(path: Path) -> Array:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "pickle" in str(error) or "Python objects" in str(error):
            raise ImageError(f"{path}: {PICKLED}") from error
        raise ImageError(f"{path}: the .npy file is damaged ({error}); save it again") from error
    except (OSError, EOFError) as error:
        raise ImageError(f"{path}: the .npy file is damaged ({error}); save it again") from error
    if array.size > MAX_PIXELS:
        raise ImageError(f"{path}: {array.size} values, allowed are {MAX_PIXELS}; cut it in parts")
    pixels: Array = np.array(array)
    if pixels.ndim > 2:
        pixels = pixels.reshape([size for size in pixels.shape if size != 1] or [1, 1])
    return pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
