"""Annotated images, read from files and checked.

In: image and label files. Out: ``Annotated``, in memory, or ``AnnotatedFile`` and regions of large
images, on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import ImageError, SamzooError, all_bad
from samzoo.runtime.images.label_arrays import object_areas
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.labels.annotation import AS_NUMBERED, LabelMeaning, ReadImage, read_pair
from samzoo.runtime.labels.lists import Entry, entries, of_part
from samzoo.runtime.labels.survey import Survey
from samzoo.runtime.pixels.source_spec import identity

from .annotated import Annotated, AnnotatedFile, AnnotatedImage, pair_digest
from .regions import open_large, regions_of


def read_annotated(
    images: Path,
    labels: Path | None = None,
    *,
    split: Path | None = None,
    part: str | None = None,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    survey: Survey | None = None,
) -> list[Annotated]:
    """Read all pairs of images and labels in two folders, two files, or a list.

    Args:
        images: A folder of images, one image file, or a list in a CSV file.
        labels: A folder with a label image for each, or one label file; None with a list.
        split: A CSV file with the images' parts and groups. ``samzoo.runtime.labels.lists`` says
            how lists and this file look.
        part: Read only this part: ``train``, ``val`` or ``test``.
        meaning: What the numbers in the label files mean.
        read: Reads an image file.
        survey: Gets what was found: counts, and what is odd but may be right.

    Returns:
        The pairs, sorted by name, or in the order of the list.

    Raises:
        NotFoundError: A folder or file does not exist.
        InputError: A list, the parts or the groups are not usable, or the part is empty.
        ImageError: A file cannot be used, has no partner, or differs from it in size; or labels
            surely mean something else. If several pairs cannot be used, all of them are named.
    """
    listed = entries(images, labels, split=split, part=part)
    if part is not None:
        listed = of_part(listed, part)
    survey = survey or Survey()
    found: list[Annotated] = []

    def read_one(entry: Entry) -> None:
        pair = read_pair(entry.image, entry.labels, meaning=meaning, read=read, survey=survey)
        found.append(Annotated(*pair, entry.name, survey.contents[-1], entry.group, entry.weight))

    _for_each(listed, read_one)
    return found


def open_annotated(
    listed: Sequence[Entry],
    *,
    meaning: LabelMeaning = AS_NUMBERED,
    choice: Mapping[str, Any] | None = None,
    survey: Survey | None = None,
) -> list[AnnotatedImage]:
    """Read and check annotated images one after the other, and keep none of them in memory.

    The regions of a large image are annotated images each, see ``regions.py``.

    Args:
        listed: The images.
        meaning: As for ``read_annotated``.
        choice: Level, series, channel and plane of the images, as ``read_image`` takes them.
        survey: As for ``read_annotated``.

    Returns:
        The images, which are read again when they are needed.

    Raises:
        SamzooError: As from ``read_annotated``.
    """
    survey, choice = survey or Survey(), choice or {}
    read = partial(read_image, **choice)
    found: list[AnnotatedImage] = []

    def open_one(entry: Entry) -> None:
        large = open_large(entry, meaning, choice)
        if large is not None:
            found.extend(regions_of(large, survey))
            return
        image, labels = read_pair(
            entry.image, entry.labels, meaning=meaning, read=read, survey=survey
        )
        found.append(
            AnnotatedFile(
                entry=entry, meaning=meaning, read=read, content=survey.contents[-1],
                size=(labels.shape[0], labels.shape[1]), areas=object_areas(labels),
                digest=pair_digest(image, labels),
                stamps=(identity(entry.image), identity(entry.labels)),
            )
        )  # fmt: skip

    _for_each(listed, open_one)
    return found


def _for_each(listed: Sequence[Entry], use: Callable[[Entry], None]) -> None:
    """Use each listed image; all bad ones are named at once, before the training begins."""
    errors: list[SamzooError] = []
    for entry in listed:
        try:
            use(entry)
        except SamzooError as error:
            errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ImageError(all_bad("pairs", [str(error) for error in errors]))
