"""Images: from files to checked arrays; and labels to files.

In: paths or arrays from users. Out: images ``(height, width)`` or ``(height, width, 3)``, which
later steps need not check again, and label files. ``samzoo.runtime.labels`` reads label files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import ImageError, NotFoundError, shown
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.pixels.kinds import SUFFIXES
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.transparency import AlphaCheck

from .label_arrays import check_labels
from .label_tags import PixelSizes, tags_of_labels
from .opening import read_plane
from .origin import LABELS_SOFTWARE, LabelFacts, png_origin

ALLOWED_SHAPES = "(height, width) grey or (height, width, 3) RGB"

TIFF_SUFFIXES = (".tif", ".tiff")

LABEL_SUFFIXES = (*TIFF_SUFFIXES, ".png")
"""Formats that keep labels exactly; JPEG does not."""


def read_image(
    path: str | Path,
    *,
    level: int | None = None,
    series: int | None = None,
    channel: int | str | None = None,
    plane: int | None = None,
    notes: list[str] | None = None,
) -> Array:
    """Read one plane of an image file as a whole; ``docs/images.md`` says which files.

    Each choice is used or refused. Without one, the file must leave none open.

    Args:
        path: A TIFF, PNG, JPEG, BMP, GIF or WebP file, or an OME-Zarr folder.
        level: Level of a pyramid; 0, full size, by default.
        series: Number of the image in a file with several.
        channel: Number of the channel, its name in the file, or ``red``, ``green``, ``blue``.
        plane: Number of the plane in a stack or animation.
        notes: Gets sentences about what was read, such as that the picture was turned.

    Returns:
        ``(height, width)`` grey or ``(height, width, 3)`` RGB in the file's dtype, never empty,
        all values finite, turned as the file's orientation says. One-bit images become uint8 with
        0 and 255, palette images become RGB, "white is zero" is inverted, colour planes move to
        the last axis.

    Raises:
        NotFoundError: There is no such file.
        ImageError: The file is damaged, not an image, partly transparent, has values that are not
            usable, or a choice is missing.
        InputError: The file has no such level, series, channel or plane.
        MissingDependencyError: Reading it needs the extra ``large``.
        StorageError: The file exists and cannot be read.

    Example:
        >>> import numpy as np
        >>> import tifffile
        >>> from samzoo.runtime import read_image
        >>> tifffile.imwrite("image.tif", np.zeros((40, 50), np.uint16))
        >>> image = read_image("image.tif")
        >>> image.shape, image.dtype.name
        ((40, 50), 'uint16')
    """
    spec = SourceSpec(str(path), level or 0, series, channel, plane)
    return check_image(read_plane(spec, notes=notes), where=str(path))


def check_image(image: Array, where: str = "image") -> Array:
    """Check an image array and bring it into one of the two allowed shapes.

    Args:
        image: ``(height, width)``, ``(height, width, 1)``, RGB ``(height, width, 3)`` or RGBA
            ``(height, width, 4)``, of boolean, integer or floating point dtype.
        where: Names the array in messages.

    Returns:
        ``(height, width)`` or ``(height, width, 3)`` in native byte order. An alpha that is the
        same everywhere is dropped; booleans become uint8 0 and 255, float16 becomes float32,
        extended floats become float64; other dtypes stay. The result may share memory with
        ``image``.

    Raises:
        ImageError: The shape or dtype is another one, there are no pixels, part of the picture is
            transparent, or a value is NaN or infinite.
    """
    shape = image.shape
    if image.ndim == 3 and shape[2] == 4:
        AlphaCheck(where)(image[..., 3])
    if image.ndim == 3 and shape[2] in (1, 3, 4):
        image = image[..., 0] if shape[2] == 1 else image[..., :3]
    elif image.ndim != 2:
        hint = "pass one plane or channel"
        if image.ndim == 3 and shape[0] in (3, 4):
            hint = "if the first axis is colour, use numpy.moveaxis(image, 0, -1)"
        raise ImageError(f"{where}: found shape {shape}, allowed are {ALLOWED_SHAPES}; {hint}")
    if image.size == 0:
        raise ImageError(f"{where}: the image has no pixels (shape {shape})")
    return _plain_numbers(image, where)


def _plain_numbers(image: Array, where: str) -> Array:
    kind = image.dtype.kind
    if kind == "b":
        return image.astype(np.uint8) * np.uint8(255)
    if kind in "iu":
        return image.astype(image.dtype.newbyteorder("="), copy=False)
    if kind != "f":
        raise ImageError(
            f"{where}: found values of dtype {image.dtype}, allowed are integers and real "
            "floating point numbers; convert the image first, for example to its magnitude"
        )
    bad = image.size - int(np.isfinite(image).sum())
    if bad:
        raise ImageError(
            f"{where}: {bad} of {image.size} values are NaN or infinite; "
            "replace them, for example by numpy.nan_to_num"
        )
    size = min(max(image.dtype.itemsize, 4), 8)
    return image.astype(f"f{size}", copy=False)


def label_dtype(largest: int) -> np.dtype[Any]:
    """Return the dtype in which labels are stored: uint16 up to label 65535, int32 above."""
    return np.dtype(np.uint16 if largest < 2**16 else np.int32)


def write_labels(
    path: str | Path,
    labels: Labels2D,
    *,
    facts: LabelFacts = None,
    sizes: PixelSizes | None = None,
) -> None:
    """Write a label image, either completely or not at all.

    Args:
        path: ``.tif`` or ``.tiff`` (zlib compressed, uint16 up to label 65535, int32 above) or
            ``.png`` (16 bits). A TIFF opens in ImageJ in colours; a name that ends in ``.ome.tif``
            asks for OME-TIFF.
        labels: ``(height, width)``, not negative.
        facts: How the labels were made, for the file's record; see ``origin.RECORD``.
        sizes: Sizes of pixels by axis, with their units; a PNG does not keep them.

    Raises:
        ImageError: The suffix is another one, the array does not hold labels, or a label for a PNG
            is above 65535.
        StorageError: The disk is full or the folder cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in LABEL_SUFFIXES:
        raise ImageError(
            f"{path}: found suffix {shown(path.suffix)}, labels are written as "
            f"{', '.join(LABEL_SUFFIXES)}"
        )
    checked = check_labels(labels, renumber=False)
    data = checked.astype(label_dtype(int(checked.max())), copy=False)
    if suffix == ".png" and data.dtype != np.uint16:
        raise ImageError(f"{path}: label {checked.max()} is too large for a PNG; write a .tif file")
    with replacing(path) as temporary:
        if suffix == ".png":
            from PIL import Image

            Image.fromarray(data).save(temporary, pnginfo=png_origin(LABELS_SOFTWARE, facts))
        else:
            import tifffile

            largest = int(checked.max())
            tags = tags_of_labels(path, largest=largest, sizes=sizes, facts=facts)
            tifffile.imwrite(temporary, data, **tags)


def list_images(folder_or_file: Path) -> list[Path]:
    """List the images in a folder, not in its subfolders, sorted by name.

    Args:
        folder_or_file: A folder, or one file, which is returned unchanged. Hidden files are left
            out (macOS puts ``._name.tif`` beside each file on foreign disks).

    Returns:
        At least one path; each has a suffix of ``kinds.SUFFIXES``, in upper or lower case.

    Raises:
        NotFoundError: There is no such folder or file.
        ImageError: The folder holds no image, or the file has another suffix.
    """
    if not folder_or_file.exists():
        raise NotFoundError(f"{folder_or_file}: no such file or folder")
    allowed = ", ".join(SUFFIXES)
    if folder_or_file.is_file():
        if folder_or_file.suffix.lower() not in SUFFIXES:
            raise ImageError(f"{folder_or_file}: not an image file; allowed suffixes: {allowed}")
        return [folder_or_file]
    found = sorted(
        path
        for path in folder_or_file.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )
    if not found:
        raise ImageError(f"{folder_or_file}: holds no image; looked for {allowed}")
    return found
