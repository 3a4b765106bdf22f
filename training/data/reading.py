"""Annotated images, read from files and checked.

In: image and label files. Out: ``Annotated``, in memory, or ``AnnotatedFile``, on the disk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from samzoo.runtime.errors import ImageError, SamzooError, all_bad
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.label_arrays import object_areas
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.labels.annotation import AS_NUMBERED, LabelMeaning, ReadImage, read_pair
from samzoo.runtime.labels.lists import Entry, entries, of_part
from samzoo.runtime.labels.survey import Survey
from samzoo.runtime.pixels.source_spec import identity

from .annotated import Annotated, AnnotatedFile, pair_digest


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
    listed = entries(images, labels, split=split)
    if part is not None:
        listed = of_part(listed, part)
    return [
        Annotated(image, labels, entry.name, content, entry.group)
        for entry, image, labels, content in _each(listed, meaning, read, survey or Survey())
    ]


def open_annotated(
    listed: Sequence[Entry],
    *,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    survey: Survey | None = None,
) -> list[AnnotatedFile]:
    """Read and check annotated images one after the other, and keep none of them in memory.

    Args:
        listed: The images.
        meaning: As for ``read_annotated``.
        read: As for ``read_annotated``.
        survey: As for ``read_annotated``.

    Returns:
        The images, which are read again when they are needed.

    Raises:
        SamzooError: As from ``read_annotated``.
    """
    survey = survey or Survey()
    return [
        AnnotatedFile(
            entry=entry, meaning=meaning, read=read, content=content,
            size=(labels.shape[0], labels.shape[1]), areas=object_areas(labels),
            digest=pair_digest(image, labels),
            stamps=(identity(entry.image), identity(entry.labels)),
        )
        for entry, image, labels, content in _each(listed, meaning, read, survey)
    ]  # fmt: skip


def _each(
    listed: Sequence[Entry], meaning: LabelMeaning, read: ReadImage, survey: Survey
) -> Iterator[tuple[Entry, Array, Labels2D, str]]:
    """Yield what is listed with image, labels and the image's identity; bad ones raise at the end.

    All bad ones are named at once, before the training begins.
    """
    errors: list[SamzooError] = []
    for entry in listed:
        try:
            pair = read_pair(entry.image, entry.labels, meaning=meaning, read=read, survey=survey)
        except SamzooError as error:
            errors.append(error)
            continue
        yield entry, *pair, survey.contents[-1]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise ImageError(all_bad("pairs", [str(error) for error in errors]))
