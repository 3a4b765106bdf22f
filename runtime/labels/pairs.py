"""Pairs of images and label images, by the names that the field's tools give them.

In: two folders, or one folder with both, or two files. Out: pairs of paths.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.images.reading import list_images
from samzoo.runtime.pixels.zarr_source import is_zarr

from .files import LABEL_FILE_SUFFIXES
from .shapes import advice_on_folder

_SUFFIX = re.compile(r"(\.ome)?\.[^.]+$", re.IGNORECASE)

_SUFFIX_INSIDE = re.compile(r"\.ome$", re.IGNORECASE)
"""Cellpose calls the masks of ``a.ome.tif`` ``a.ome_cp_masks.tif``."""

_LABEL_MARK = re.compile(
    r"[_. -](cp_masks?|masks?|labels?|labell?ed|seg|segmentation|instances?|gt|annotations?)$",
    re.IGNORECASE,
)
"""What tools and people append to an image's name for its labels. Source: Cellpose (``_masks``,
``_cp_masks``, ``_seg.npy``), QuPath and ilastik (``-labels``), StarDist's and torch-em's users."""

_IMAGE_MARK = re.compile(r"[_. -](img|images?|raw)$", re.IGNORECASE)
"""What is appended to an image's name. Source: Cellpose's data set (``000_img.png``)."""

_BY_PRODUCT = re.compile(r"[_-](flows|cp_output|cp_flows|cp_outlines|dP|probs)$", re.IGNORECASE)
"""Cellpose's other outputs, neither images nor labels."""

MOST_NAMED = 5
"""Files that a message names; the others are counted (own choice)."""


def match_pairs(
    images: Path,
    labels: Path,
    *,
    lonely: list[str] | None = None,
    missed: Callable[[Path], bool] | None = None,
) -> list[tuple[Path, Path]]:
    """Pair images with label images by their names.

    Names are compared without suffix (``a.ome.tif`` is ``a``), first as they are, then without what
    tools append: ``_mask``, ``_masks``, ``_cp_masks``, ``_label``, ``_labels``, ``_seg`` and others
    on labels, ``_img``, ``_image`` and ``_raw`` on images. Letters that are composed of others
    (``ä``) are alike in both forms, and so are upper and lower case where no other name fits.

    Args:
        images: A folder of images, or one file; an OME-Zarr is a file.
        labels: A folder of label images, or one file; possibly the folder of the images, if the
            labels' names have such an ending. Two single files match whatever their names are.
        lonely: Gets a sentence for each file without a partner, which is left out then.
        missed: Tells of such a file whether anybody wants it; the others get no sentence. All are
            wanted by default. Without ``lonely`` it is not asked.

    Returns:
        Pairs (image, labels), sorted by name; at least one.

    Raises:
        NotFoundError: One of the two does not exist.
        ImageError: A file has several partners, none has one, or one of the two is a folder and
            the other a file; or, if nobody takes ``lonely``, a file has no partner. The message
            names them.
    """
    for path in (images, labels):
        if not path.exists():
            raise NotFoundError(f"{path}: no such file or folder")
    single = [path.is_file() or is_zarr(path) for path in (images, labels)]
    if all(single):
        if images.samefile(labels):
            raise ImageError(f"{images}: is given both as image and as labels")
        return [(images, labels)]
    if any(single):
        raise ImageError(f"{images} and {labels}: give two folders or two files, not one of each")
    if images.samefile(labels):
        image_files, label_files = _told_apart(images)
    else:
        image_files = [path for path in list_images(images) if not _is_by_product(path)]
        label_files = _label_files(labels)
    return _pairs(image_files, label_files, images, labels, lonely, missed)


def stem(path: Path) -> str:
    """Return a file's name without its suffix, letters composed; ``.ome.tif`` is one suffix.

    macOS decomposes the letters in names, and other systems keep what they get.
    """
    return unicodedata.normalize("NFC", _SUFFIX.sub("", path.name))


def unmarked(name: str) -> str:
    """Return the name of the image to which labels of this name belong."""
    return _SUFFIX_INSIDE.sub("", _LABEL_MARK.sub("", name))


def _is_by_product(path: Path) -> bool:
    return _BY_PRODUCT.search(stem(path)) is not None


def _listed(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in LABEL_FILE_SUFFIXES
        and not path.name.startswith(".")
        and path.is_file()
        and not _is_by_product(path)
    )


def _label_files(folder: Path) -> list[Path]:
    found = _listed(folder)
    if not found:
        raise ImageError(
            f"{folder}: holds no label image; looked for {', '.join(LABEL_FILE_SUFFIXES)}"
            f"{advice_on_folder(folder.iterdir())}"
        )
    return _without_doubles(found)


def _without_doubles(files: Sequence[Path]) -> list[Path]:
    """Leave out each ``_seg.npy`` beside an exported mask: it holds the same masks, pickled."""
    exported = {unmarked(stem(path)) for path in files if path.suffix.lower() != ".npy"}
    return [
        path for path in files
        if not path.name.lower().endswith("_seg.npy")
        or unmarked(stem(path)) not in exported
    ]  # fmt: skip


def _told_apart(folder: Path) -> tuple[list[Path], list[Path]]:
    """Tell images from labels in one folder: labels end in a mark, are .npy, or are not JPEG."""
    files = _listed(folder)
    plain = {stem(path) for path in files} | {_IMAGE_MARK.sub("", stem(path)) for path in files}
    labels = [
        path for path in files
        if path.suffix.lower() == ".npy"
        or (_LABEL_MARK.search(stem(path)) and unmarked(stem(path)) in plain)
    ]  # fmt: skip
    images = [path for path in files if path not in labels]
    if not labels:
        jpegs = [path for path in images if path.suffix.lower() in (".jpg", ".jpeg")]
        labels = [p for p in images if p not in jpegs and stem(p) in {stem(j) for j in jpegs}]
        images = [path for path in images if path not in labels]
    if not labels:
        raise ImageError(
            f"{folder}: is given for images and labels, and no name tells them apart; let the "
            "labels end in _masks (a.tif and a_masks.tif), or use two folders"
        )
    masks = [path for path in labels if path.suffix.lower() != ".npy"]
    exported = {unmarked(stem(path)) for path in masks}
    return images, masks + [
        path for path in labels
        if path not in masks and unmarked(stem(path)) not in exported
    ]  # fmt: skip


def _pairs(
    images: Sequence[Path],
    labels: Sequence[Path],
    image_folder: Path,
    label_folder: Path,
    lonely: list[str] | None,
    missed: Callable[[Path], bool] | None,
) -> list[tuple[Path, Path]]:
    by_name = _grouped((stem(path), path) for path in images)
    for path in images:
        shorter = _IMAGE_MARK.sub("", stem(path))
        if shorter != stem(path):
            by_name.setdefault(shorter, []).append(path)
    folded = _grouped((name.casefold(), path) for name, found in by_name.items() for path in found)
    partners: dict[Path, list[Path]] = {path: [] for path in images}
    alone = []
    for path in labels:
        name, shorter = stem(path), unmarked(stem(path))
        found = by_name.get(name) or by_name.get(shorter) or []
        found = found or folded.get(name.casefold()) or folded.get(shorter.casefold()) or []
        for image in found:
            partners[image].append(path)
        if not found:
            alone.append(path)
        if len(found) > 1:
            raise ImageError(
                f"{path}: belongs to several images by its name: {_named(found)} in "
                f"{image_folder}; keep one of them, or rename"
            )
    for image, found in partners.items():
        if len(found) > 1:
            raise ImageError(
                f"{image}: several label images belong to it by their names: {_named(found)} in "
                f"{label_folder}; keep one of them"
            )
    missing = [image for image, found in partners.items() if not found]
    pairs = [(image, found[0]) for image, found in partners.items() if found]
    if lonely is None or not pairs:
        _refuse_lonely(missing, alone, len(images), len(labels), image_folder, label_folder)
    else:
        for paths, lacks in (
            (missing, f"no label image in {label_folder} has its name"),
            (alone, f"no image in {image_folder} has its name"),
        ):
            lonely += [f"{path}: {lacks}" for path in paths if missed is None or missed(path)]
    return sorted(pairs, key=lambda pair: pair[0].name)


def _grouped(items: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for name, path in items:
        groups.setdefault(name, []).append(path)
    return groups


def _refuse_lonely(
    images: Sequence[Path],
    labels: Sequence[Path],
    n_images: int,
    n_labels: int,
    image_folder: Path,
    label_folder: Path,
) -> None:
    found = []
    if images:
        found.append(
            f"{len(images)} of {n_images} images in {image_folder} have no label image in "
            f"{label_folder}: {_named(images)}"
        )
    if labels:
        found.append(
            f"{len(labels)} of {n_labels} label images in {label_folder} have no image in "
            f"{image_folder}: {_named(labels)}"
        )
    if found:
        raise ImageError(
            f"{'; '.join(found)}. Give both the same name (a.tif and a.png, or a_masks.png), or "
            "remove the file"
        )


def _named(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:MOST_NAMED])
    return f"{names}, ..." if len(paths) > MOST_NAMED else names
