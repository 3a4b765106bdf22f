"""One image and its annotation, read together.

In: an image file and a label file. Out: both as arrays of one size, and what is odd about them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.empty_channels import with_notes
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.pixels.reader import Window

from .alignment import Edges, turned_labels
from .files import read_annotation
from .plausibility import doubts, split_components
from .survey import Survey


@dataclass(frozen=True, kw_only=True)
class LabelMeaning:
    """What the user says about the numbers in label files.

    Attributes:
        split_components: Each connected part is an object, whatever its id: for masks and class
            maps.
        ignore: Ids that mean "not annotated", besides -1: for unsigned files.
    """

    split_components: bool = False
    ignore: tuple[int, ...] = ()


class ReadImage(Protocol):
    """Reads an image file, as ``read_image`` does."""

    def __call__(self, path: Path, /, *, notes: list[str] | None = None) -> Array:
        """Read an image; ``notes`` gets sentences about what was read."""


AS_NUMBERED = LabelMeaning()
"""Each id is an object, and -1 is not annotated."""


def read_pair(
    image_path: Path,
    label_path: Path,
    *,
    meaning: LabelMeaning = AS_NUMBERED,
    read: ReadImage = read_image,
    survey: Survey | None = None,
    check: Callable[[Labels2D], object] | None = None,
) -> tuple[Array, Labels2D]:
    """Read an image and its labels.

    Args:
        image_path: The image file.
        label_path: The label file.
        meaning: What the label file's numbers mean.
        read: Reads the image.
        survey: Gets what was found: counts, what is odd but may be right, and what the image's
            file says of its pixels.
        check: Called with the labels before the survey counts them; it raises what makes them
            unusable to the caller.

    Returns:
        The image as from ``read``, and labels ``(height, width)`` int32 of the same size: 0 is
        background, -1 is not annotated. There may be no object: that is data, too.

    Raises:
        NotFoundError: One of the files does not exist.
        ImageError: The image or the labels are not usable, the labels surely mean something else
            (see ``plausibility``), or the sizes differ.
        StorageError: A file exists and cannot be read.
        SamzooError: As ``check``.
    """
    notes: list[str] = []
    image = read(image_path, notes=notes)
    labels = read_labels_of(label_path, meaning)
    check_sizes(image, labels, image_where=f"the image {image_path}", label_where=str(label_path))
    odd = doubts(labels, image, where=str(label_path))
    if check is not None:
        check(labels)
    if survey is not None:
        edges = Edges.of(image, labels)
        odd += turned_labels(edges, str(label_path))
        notes += with_notes(image)[1]
        survey.add(image, labels, odd=odd, notes=notes, name=image_path.name, edges=edges)
    return image, labels


def read_labels_of(path: Path, meaning: LabelMeaning, *, window: Window | None = None) -> Labels2D:
    """Read the labels of a pair without doubting them, as is enough from the second time on.

    Args:
        path: The label file.
        meaning: What its numbers mean.
        window: What to read; None for all.

    Returns:
        As from ``read_pair``.

    Raises:
        SamzooError: As from ``read_annotation``.
    """
    labels = read_annotation(path, ignore=meaning.ignore, window=window)
    return split_components(labels) if meaning.split_components else labels


def check_sizes(image: Array, labels: Labels2D, *, image_where: str, label_where: str) -> None:
    """Check that an image and its labels have one size.

    Raises:
        ImageError: The sizes differ; the message says if one is the other, transposed.
    """
    found, expected = labels.shape, image.shape[:2]
    if found == expected:
        return
    hint = "they must be equal; give the labels of this very image"
    if found == expected[::-1]:
        hint = "one of the two is transposed; swap its axes"
    elif found[0] * expected[1] == found[1] * expected[0]:
        hint = "one of the two was resized; resize the labels without interpolation"
    raise ImageError(
        f"{label_where}: the labels are {found[0]} x {found[1]} pixels (height x width), "
        f"{image_where} is {expected[0]} x {expected[1]}; {hint}"
    )
