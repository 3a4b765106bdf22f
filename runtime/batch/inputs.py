"""The images that a user names by files, folders and patterns, and what is left out of them.

In: names. Out: images in order, and a reason for everything that is not taken for an image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.origin import is_ours
from samzoo.runtime.pixels.foreign import BY_SUFFIX
from samzoo.runtime.pixels.kinds import SUFFIXES
from samzoo.runtime.pixels.zarr_source import is_zarr

OTHER_IMAGES = frozenset(
    ".afi .avif .bif .bmp .btf .fits .flex .gif .heic .heif .ics .ids .j2k .jp2 .jpx .jxl .jxr "
    ".lsm .ndpi .ndpis .pbm .pgm .pnm .ppm .psd .qptiff .raw .scn .stk .svs .tf2 .tf8 .tga "
    ".webp .xcf .xlef".split()
) | (BY_SUFFIX.keys() - {".npy", ".npz", ".rec", ".svg"})
"""Suffixes of other files of pixels (own choice, after Bio-Formats' list). They are tried, so that
what cannot be read fails by name and is not left out in silence."""

LABEL_ENDINGS = ("_cp_masks", "_masks", "_mask", "_labels", "_label")
"""Endings by which Cellpose and others name the labels beside an image."""

RESULTS = (".samzoo", "labels", "overlays", "outlines", "objects.csv", "counts.csv")
"""What lies in a folder of results; the images may lie there too."""

NOT_AN_IMAGE = "not an image"
ARRAY = "a NumPy array; if it is an image, write it as a TIFF"
OURS = "labels or an overlay that samzoo wrote"


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not segmented.

    Attributes:
        path: Which one.
        reason: Why, in a few words.
    """

    path: Path
    reason: str


@dataclass(frozen=True)
class Inputs:
    """What a user named.

    Attributes:
        images: The images, in the order of the names; those of a folder by name. Some may turn out
            not to exist or not to be readable.
        left_out: What was seen and is no image.
        unmatched: Patterns that match no file.
        names: What the user named, as it was given.
    """

    images: tuple[Path, ...]
    left_out: tuple[LeftOut, ...] = ()
    unmatched: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


def is_pattern(name: str) -> bool:
    """Tell whether a name is a pattern and no file or folder."""
    return any(sign in name for sign in "*?[") and not Path(name).exists()


def is_zarr_image(path: Path) -> bool:
    """Tell whether a folder is an image and no folder of images; a damaged one is told so later."""
    return is_zarr(path) or (path.suffix.lower() == ".zarr" and path.is_dir())


def find_inputs(names: Sequence[str], *, output: Path | None = None) -> Inputs:
    """Find the images that files, folders and patterns name.

    A folder stands for the images in it, not in its subfolders; the pattern ``FOLDER/**/*.tif``
    finds those too. A file named twice counts once.

    Args:
        names: Files, folders, OME-Zarr folders and patterns.
        output: The folder of results. It is left out without a word.

    Returns:
        The images, and what was left out.
    """
    images: dict[str, Path] = {}
    left_out: dict[str, LeftOut] = {}
    unmatched: list[str] = []
    for name in names:
        found, folder = _named(name)
        if not found and is_pattern(name):
            unmatched.append(name)
        for path in found:
            key = os.path.abspath(path)
            if output is not None and folder and _inside(key, output):
                continue
            reason = _reason(path, beside=found)
            if reason is None:
                images.setdefault(key, path)
            else:
                left_out.setdefault(key, LeftOut(path, reason))
    return Inputs(tuple(images.values()), tuple(left_out.values()), tuple(unmatched), tuple(names))


def _named(name: str) -> tuple[list[Path], bool]:
    """Return what a name stands for, and whether samzoo chose it from a folder."""
    path = Path(name)
    if path.is_dir() and not is_zarr_image(path):
        return sorted(path.iterdir(), key=_order), True
    if is_pattern(name):
        return sorted(_matches(path), key=_order), True
    return [path], False


def _matches(pattern: Path) -> Iterator[Path]:
    try:
        for path in Path(pattern.anchor or ".").glob(str(pattern.relative_to(pattern.anchor))):
            if not any(is_zarr_image(parent) for parent in path.parents):
                yield path
    except ValueError as error:  # such as a**
        raise InputError(f"{pattern}: is no pattern ({error})") from error


def _order(path: Path) -> tuple[str, str]:
    return str(path.parent), path.name


def _inside(path: str, output: Path) -> bool:
    """Tell whether a path is the folder of results, or one of its files and folders."""
    own = os.path.abspath(output)
    return path in (own, *(os.path.join(own, name) for name in RESULTS))


def _reason(path: Path, *, beside: Sequence[Path]) -> str | None:
    """Return why a path is not taken for an image, or None for an image."""
    if is_zarr_image(path):
        return None
    if path.is_dir():
        return "a subfolder; name it too, or use a pattern such as 'FOLDER/**/*.tif'"
    if path.exists() and not path.is_file():
        return "neither a file nor a folder"
    if path.name.startswith("."):
        return NOT_AN_IMAGE
    suffix = path.suffix.lower()
    if suffix in OTHER_IMAGES or not path.exists():
        return None
    if path.name.lower().endswith(".nii.gz"):
        return None
    if suffix in (".npy", ".npz"):
        return ARRAY
    if suffix not in SUFFIXES:
        return NOT_AN_IMAGE
    stem = path.stem.lower()
    for ending in LABEL_ENDINGS:
        original = stem.removesuffix(ending)
        if original != stem and any(original == other.stem.lower() for other in beside):
            return "labels of another image, by the name"
    return OURS if is_ours(path) else None
