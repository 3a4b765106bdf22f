"""Annotated images, read and brought to the model's scale.

In: image and label files. Out: ``Sample``, a whole image at the model's scale, with its AIS
targets. ``crops.py`` cuts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import ImageError, SamzooError, all_bad
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size, input_size, resize_image, resize_labels
from samzoo.runtime.images.intensity import to_0_255
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.labels.annotation import AS_NUMBERED, LabelMeaning, ReadImage, read_pair
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.lists import Entry, entries, of_part
from samzoo.runtime.labels.survey import Survey

from .targets import distance_targets


@dataclass(frozen=True)
class Annotated:
    """An image with its instance labels, as read.

    Attributes:
        image: ``(height, width)`` or ``(height, width, 3)``.
        labels: ``(height, width)`` int32; -1 is not annotated.
        name: Names the image in messages and logs.
        content: Identity of the whole image as read, from ``content_identity``; empty if unknown.
        group: What the image is a piece of (field, scene, patient); empty if nobody says.
    """

    image: Array
    labels: Labels2D
    name: str
    content: str = ""
    group: str = ""


@dataclass(frozen=True)
class Sample:
    """An annotated image at the model's scale.

    Attributes:
        image: ``(height, width, 3)`` in 0..255.
        labels: ``(height, width)`` int32; -1 is not annotated.
        targets: ``(3, height, width)`` float32, see ``targets.py``.
        group: As of the annotated image.
    """

    image: Array
    labels: Labels2D
    targets: Float3D
    group: str = ""


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
    return read_entries(listed, meaning=meaning, read=read, survey=survey)


def read_entries(
    listed: Sequence[Entry],
    *,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    survey: Survey | None = None,
) -> list[Annotated]:
    """Read annotated images that are listed, as ``read_annotated`` does."""
    survey = survey or Survey()
    result = []
    errors: list[SamzooError] = []
    for entry in listed:
        try:
            pair = read_pair(entry.image, entry.labels, meaning=meaning, read=read, survey=survey)
        except SamzooError as error:
            errors.append(error)
            continue
        result.append(Annotated(*pair, entry.name, survey.contents[-1], entry.group))
    if len(errors) == 1:
        raise errors[0]
    if errors:  # all of them at once, before the training begins
        raise ImageError(all_bad("pairs", [str(error) for error in errors]))
    return result


def contents(annotated: Sequence[Annotated]) -> dict[str, str]:
    """Return the names of images by the identity of what they show."""
    return {content_identity(each.image): each.name for each in annotated}


def split(annotated: Sequence[Annotated]) -> tuple[list[Annotated], list[Annotated]]:
    """Set validation data aside if the user names none.

    Images of one group, and images of the same picture, stay together; without groups each picture
    is one. With four groups or more that have objects, every fifth of them (at least one)
    validates, and every fifth group without objects. Of two or three groups that someone named, the
    smallest does. Else the right quarter of each image does that has objects there and in its
    rest. The two parts share no pixel; an object on the cut becomes a piece in each part (own
    choice; one image must be enough).

    Args:
        annotated: All annotated images.

    Returns:
        Training and validation images.

    Raises:
        ImageError: There are too few groups, and no image has objects in both parts.
    """
    filled: list[list[Annotated]] = []
    empty: list[list[Annotated]] = []
    for group in _together(annotated):
        (filled if any((a.labels > 0).any() for a in group) else empty).append(group)
    if len(filled) >= 4:
        chosen = [*filled[::5], *empty[4::5]]
    elif len(filled) >= 2 and any(a.group for a in annotated):
        chosen = [min(filled, key=len)]
    else:
        return _quarters(annotated)
    validation = [a for group in chosen for a in group]
    marks = {id(a) for a in validation}
    return [a for a in annotated if id(a) not in marks], validation


def _together(annotated: Sequence[Annotated]) -> list[list[Annotated]]:
    """Return images that have a group or a picture in common, also by way of others, together."""
    leaders = list(range(len(annotated)))

    def leader(index: int) -> int:
        while leaders[index] != index:
            index = leaders[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, a in enumerate(annotated):
        for mark in (("group", a.group), ("picture", a.content or content_identity(a.image))):
            if mark[1]:
                ends = leader(index), leader(first.setdefault(mark, index))
                leaders[max(ends)] = min(ends)
    groups: dict[int, list[Annotated]] = {}
    for index, a in enumerate(annotated):
        groups.setdefault(leader(index), []).append(a)
    return list(groups.values())


def _quarters(annotated: Sequence[Annotated]) -> tuple[list[Annotated], list[Annotated]]:
    """Divide images: the left three quarters of each train, its right quarter validates."""
    filled = [a for a in annotated if (a.labels > 0).any()]
    empty = [a for a in annotated if not (a.labels > 0).any()]
    left, right = [], []
    for a in filled:
        cut = a.labels.shape[1] * 3 // 4
        parts = _cut(a, slice(cut), "left 3/4"), _cut(a, slice(cut, None), "right 1/4")
        if all((part.labels > 0).any() for part in parts):
            left.append(parts[0])
            right.append(parts[1])
        else:
            left.append(a)  # perhaps another image has objects in both parts
    if not right:
        name = filled[0].name if filled else "the images"
        raise ImageError(
            f"{name}: no labelled object in the left three quarters or in the right quarter, which "
            "would validate; pass --val-images and --val-labels to choose the validation data "
            "yourself"
        )
    return [*left, *empty], right


def _cut(whole: Annotated, columns: slice, where: str) -> Annotated:
    return Annotated(
        whole.image[:, columns],
        whole.labels[:, columns],
        f"{whole.name} ({where})",
        whole.content,
        whole.group,
    )


def prepare(annotated: Annotated, preprocessing: Preprocessing, image_size: int) -> Sample:
    """Bring an annotated image to the model's intensities and scale, and compute its targets."""
    image = to_0_255(without_empty_channels(annotated.image), preprocessing)
    size = scaled_size(annotated.labels.shape, preprocessing.scale, image_size)
    labels = resize_labels(annotated.labels, size)
    return Sample(resize_image(image, size), labels, distance_targets(labels), annotated.group)


def data_digest(samples: Sequence[Sample | Annotated]) -> str:
    """Return an identity of annotated images: a digest of all images and labels, in order."""
    return weights_digest({
        f"{index}/{key}": value
        for index, sample in enumerate(samples)
        for key, value in (("image", sample.image), ("labels", sample.labels))
    })  # fmt: skip


def scaled_size(shape: tuple[int, ...], scale: float | None, image_size: int) -> Size:
    """Return an image's size at the model's scale; it may exceed the model's image size."""
    height, width = shape[0], shape[1]
    if scale is None:
        return input_size((height, width), image_size, None)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
