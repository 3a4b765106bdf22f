"""The images of a recipe on this computer, each checked by its hash.

In: a list of images, and a folder or addresses. Out: a list with their paths, for training.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from samzoo.runtime.errors import (
    FormatError,
    InputError,
    NotFoundError,
    SamzooError,
)
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.downloads import cache
from samzoo.zoo.downloads.file_lock import locked
from samzoo.zoo.downloads.transfer import download

from .file_table import COLUMNS, ListedImage
from .recipe import ImageSet, Recipe

MOST_NAMED = 5
"""Files that a message names; the others are counted (own choice)."""

TRAINING_COLUMNS = COLUMNS[:7]
"""What a list for training holds."""


def in_folder(listed: Sequence[ListedImage], folder: Path, *, report: Progress) -> Path:
    """Check that a folder has all images of a list.

    Args:
        listed: The images.
        folder: The folder with a folder for each set.
        report: Called with the stage, the files done and their number.

    Returns:
        The folder.

    Raises:
        NotFoundError: There is no such folder.
        InputError: Files are missing, or differ; the message names some and counts all.
    """
    if not folder.is_dir():
        raise NotFoundError(f"{folder}: no such folder; expected one with a folder for each set")
    files = list(_files(listed))
    problems = []
    for done, file in enumerate(files):
        report("check images", done, len(files))
        try:
            _check(folder, file)
        except SamzooError as error:
            problems.append(str(error))
    if problems:
        more = len(problems) - MOST_NAMED
        named = [*problems[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
        count = f"{folder}: {len(problems)} of {len(files)} files are not those of the recipe:"
        raise InputError("\n  ".join([count, *named]))
    return folder


def fetched(recipe: Recipe, listed: Sequence[ListedImage], *, report: Progress) -> Path:
    """Fetch the images of a list into the cache, those that are not there yet.

    Args:
        recipe: The recipe, which says where the files of each set are.
        listed: The images.
        report: Called with the stage, the files done and their number.

    Returns:
        The folder in the cache, with a folder for each set.

    Raises:
        InputError: The made files of a set can be fetched nowhere.
        FormatError: A file on the web differs from the list.
        SamzooError: A file cannot be fetched.
    """
    sets = {each.name: each for each in recipe.sets}
    for name in dict.fromkeys(each.set_name for each in listed):
        if not sets[name].url:
            raise InputError(_about_source(sets[name]))
    folder = cache.cache_folder() / "images"
    files = list(_files(listed))
    with locked(cache.lock_file("images"), waiting=lambda: report("wait for another", 0, 0)):
        for done, file in enumerate(files):
            report("fetch images", done, len(files))
            try:
                _check(folder, file)
                continue
            except SamzooError:
                pass  # missing or damaged
            part = folder / f"{file.path}.part"
            part.parent.mkdir(parents=True, exist_ok=True)
            address = sets[file.path.split("/")[0]].url.rstrip("/")
            download(f"{address}/{quote(file.path)}", part, file)
            os.replace(part, folder / file.path)
    return folder


def _about_source(images: ImageSet) -> str:
    return (
        f"{images.name}: its files are published nowhere as they were trained on, so they cannot "
        f"be fetched. They were made of {images.source}: {images.made} Give a folder that has them "
        f"with --data FOLDER (FOLDER/{images.name}/images and labels)"
    )


def check_sets(recipe: Recipe, listed: Sequence[ListedImage], *, where: str) -> None:
    """Refuse a list with images of a set that the recipe does not describe, or without a test.

    Args:
        recipe: The recipe.
        listed: Its list of images.
        where: The list's file, for messages.

    Raises:
        FormatError: A set is unknown or unused, or a part is empty.
    """
    used = dict.fromkeys(each.set_name for each in listed)
    known = [each.name for each in recipe.sets]
    if sorted(used) != sorted(known):
        raise FormatError(
            f"{where}: has images of {', '.join(used)}, the recipe describes {', '.join(known)}; "
            "each set needs its [[sets]]"
        )
    for part in ("train", "val", "test"):
        if not any(each.row.split == part for each in listed):
            raise FormatError(f"{where}: split: no image is in {part!r}; a recipe needs all parts")


def write_training_list(listed: Sequence[ListedImage], folder: Path, output: Path) -> None:
    """Write the list of images in a folder, as ``samzoo train --images`` takes it.

    Args:
        listed: The images.
        folder: Where they are.
        output: The list.

    Raises:
        StorageError: The file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(TRAINING_COLUMNS)
    for each in listed:
        row = each.row
        paths = [(folder.resolve() / path).as_posix() for path in (row.image, row.label)]
        writer.writerow((*paths, row.split, row.group, f"{row.weight:g}", row.stratum, row.classes))
    write_bytes(output, text.getvalue().encode())


def _files(listed: Sequence[ListedImage]) -> Iterator[FileEntry]:
    for each in listed:
        yield from (each.image, each.label)


def _check(folder: Path, file: FileEntry) -> None:
    path = folder / file.path
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    if path.stat().st_size != file.size or sha256_of(path) != file.sha256:
        raise FormatError(f"{path}: differs from the file that the model was made with (sha256)")
