"""Annotated images: in memory, or in files that are read when they are needed.

In: arrays, or files that were read and checked once. Out: images with their labels, and what a run
asks of each without its pixels: its size, its objects' areas, its identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.digest import json_digest, weights_digest
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import Stretch
from samzoo.runtime.images.label_arrays import object_areas
from samzoo.runtime.labels.annotation import LabelMeaning, ReadImage, read_labels_of
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.lists import Entry
from samzoo.runtime.pixels.source_spec import identity


class AnnotatedImage(Protocol):
    """An image with its instance labels, wherever they are."""

    @property
    def image(self) -> Array:
        """``(height, width)`` or ``(height, width, 3)``, as read."""

    @property
    def labels(self) -> Labels2D:
        """``(height, width)`` int32; -1 is not annotated."""

    @property
    def name(self) -> str:
        """Names the image in messages and logs."""

    @property
    def content(self) -> str:
        """Identity of the whole image, of which this may be a part; empty if unknown."""

    @property
    def group(self) -> str:
        """What the image is a piece of (field, scene, patient); empty if nobody says."""

    @property
    def weight(self) -> float:
        """How often its group is drawn in training, beside others."""

    @property
    def size(self) -> Size:
        """Height and width."""

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each object; empty without objects."""

    @property
    def identity(self) -> str:
        """Identity of just these pixels, from ``content_identity``."""

    @property
    def digest(self) -> str:
        """Digest of image and labels."""

    def limits(self, preprocessing: Preprocessing) -> Stretch | None:
        """Return the values that become 0 and 255; None if the image is whole and has its own."""


@dataclass(frozen=True)
class Annotated:
    """An image with its instance labels, as read.

    Attributes:
        image: ``(height, width)`` or ``(height, width, 3)``.
        labels: ``(height, width)`` int32; -1 is not annotated.
        name: Names the image in messages and logs.
        content: Identity of the whole image as read, from ``content_identity``; empty if unknown.
        group: What the image is a piece of (field, scene, patient); empty if nobody says.
        weight: How often its group is drawn in training, beside others.
    """

    image: Array
    labels: Labels2D
    name: str
    content: str = ""
    group: str = ""
    weight: float = 1.0

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.labels.shape[0], self.labels.shape[1]

    @property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each object."""
        return object_areas(self.labels)

    @property
    def identity(self) -> str:
        """Identity of these pixels."""
        return content_identity(self.image)

    @property
    def digest(self) -> str:
        """Digest of image and labels."""
        return pair_digest(self.image, self.labels)

    def limits(self, preprocessing: Preprocessing) -> None:
        """See ``AnnotatedImage``."""


@dataclass(frozen=True, kw_only=True)
class AnnotatedFile:
    """An annotated image in files that were read once, and are read again when they are needed.

    Attributes:
        entry: The files.
        meaning: What the numbers in the label file mean.
        read: Reads the image.
        content: Identity of the image.
        size: Height and width.
        areas: Pixels of each object.
        digest: Digest of image and labels.
        stamps: What ``source_spec.identity`` said of both files when they were read.
    """

    entry: Entry
    meaning: LabelMeaning
    read: ReadImage
    content: str
    size: Size
    areas: NDArray[np.int64]
    digest: str
    stamps: tuple[str, str]

    @property
    def name(self) -> str:
        """As in the list of images."""
        return self.entry.name

    @property
    def group(self) -> str:
        """As in the list of images."""
        return self.entry.group

    @property
    def weight(self) -> float:
        """As in the list of images."""
        return self.entry.weight

    @property
    def identity(self) -> str:
        """Identity of the image."""
        return self.content

    @property
    def image(self) -> Array:
        """The image, read again.

        Raises:
            NotFoundError: The file is gone.
            ImageError: It changed since it was read first.
        """
        refuse_changes(self.entry.image, self.stamps[0])
        return self.read(self.entry.image)

    @property
    def labels(self) -> Labels2D:
        """The labels, read again.

        Raises:
            NotFoundError: The file is gone.
            ImageError: It changed since it was read first.
        """
        refuse_changes(self.entry.labels, self.stamps[1])
        return read_labels_of(self.entry.labels, self.meaning)

    def limits(self, preprocessing: Preprocessing) -> None:
        """See ``AnnotatedImage``."""


@dataclass(frozen=True)
class AnnotatedPart:
    """Some columns of an annotated image.

    Attributes:
        whole: The whole image.
        columns: The columns.
        name: Names the part in messages and logs.
    """

    whole: AnnotatedImage
    columns: slice
    name: str

    @property
    def image(self) -> Array:
        """The part of the image."""
        return self.whole.image[:, self.columns]

    @property
    def labels(self) -> Labels2D:
        """The part of the labels."""
        return self.whole.labels[:, self.columns]

    @property
    def content(self) -> str:
        """Identity of the whole image."""
        return self.whole.content

    @property
    def group(self) -> str:
        """As of the whole image."""
        return self.whole.group

    @property
    def weight(self) -> float:
        """As of the whole image."""
        return self.whole.weight

    @property
    def size(self) -> Size:
        """Height and width."""
        height, width = self.whole.size
        return height, len(range(*self.columns.indices(width)))

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each object in the part."""
        return object_areas(self.labels)

    @cached_property
    def identity(self) -> str:
        """Identity of the part."""
        return content_identity(self.image)

    @cached_property
    def digest(self) -> str:
        """Digest of the part and its labels."""
        return pair_digest(self.image, self.labels)

    def limits(self, preprocessing: Preprocessing) -> Stretch | None:
        """See ``AnnotatedImage``."""
        return self.whole.limits(preprocessing)


def refuse_changes(path: Path, stamp: str) -> None:
    """Refuse a file that changed since it was read first.

    Args:
        path: The file.
        stamp: What ``source_spec.identity`` said of it then.

    Raises:
        NotFoundError: The file is gone.
        ImageError: It changed.
    """
    if identity(path) != stamp:
        raise ImageError(
            f"{path}: changed after the run had begun; put back the file that was there, and go on "
            "with --resume, or train anew"
        )


def pair_digest(image: Array, labels: Labels2D) -> str:
    """Return a digest of an image with its labels."""
    return weights_digest({"0/image": image, "0/labels": labels})


def data_digest(annotated: Sequence[AnnotatedImage]) -> str:
    """Return an identity of annotated images: a digest of all images and labels, in order."""
    return json_digest({"images": [a.digest for a in annotated]})


def contents(annotated: Sequence[AnnotatedImage]) -> dict[str, str]:
    """Return the names of images by the identity of what they show."""
    return {a.identity: a.name for a in annotated}
