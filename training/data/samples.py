"""Annotated images at the model's scale, with their AIS targets.

In: annotated images. Out: ``LazySample``, which computes what it is asked for and lets go of what
was not needed lately, so that a folder of any number of images trains in bounded memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size, input_size, resize_image, resize_labels
from samzoo.runtime.images.intensity import to_0_255

from .annotated import AnnotatedImage
from .recent import MEMORY, RecentArrays
from .targets import distance_targets


class ScaledImage(Protocol):
    """An annotated image at the model's scale."""

    @property
    def image(self) -> Array:
        """``(height, width, 3)`` in 0..255."""

    @property
    def labels(self) -> Labels2D:
        """``(height, width)`` int32; -1 is not annotated."""

    @property
    def targets(self) -> Float3D:
        """``(3, height, width)`` float32, see ``targets.py``."""

    @property
    def group(self) -> str:
        """As of the annotated image."""

    @property
    def weight(self) -> float:
        """As of the annotated image."""


@dataclass(frozen=True)
class Sample:
    """An annotated image at the model's scale, in memory.

    Attributes:
        image: ``(height, width, 3)`` in 0..255.
        labels: ``(height, width)`` int32; -1 is not annotated.
        targets: ``(3, height, width)`` float32, see ``targets.py``.
        group: As of the annotated image.
        weight: As of the annotated image.
    """

    image: Array
    labels: Labels2D
    targets: Float3D
    group: str = ""
    weight: float = 1.0


class LazySample:
    """An annotated image at the model's scale, computed when it is needed.

    Args:
        annotated: The image.
        preprocessing: The model's intensities and scale.
        image_size: The model's image size.
        number: Tells it from other samples.
        recent: Keeps what was computed lately.
    """

    def __init__(
        self,
        annotated: AnnotatedImage,
        preprocessing: Preprocessing,
        image_size: int,
        *,
        number: int,
        recent: RecentArrays,
    ) -> None:
        self.group, self.weight = annotated.group, annotated.weight
        self._annotated, self._preprocessing = annotated, preprocessing
        self._number, self._recent = number, recent
        self._size = scaled_size(annotated.size, preprocessing.scale, image_size)

    @property
    def image(self) -> Array:
        """``(height, width, 3)`` in 0..255."""

        def compute() -> Array:
            image = self._annotated.image
            limits = self._annotated.limits(self._preprocessing)
            if limits is None:
                image = without_empty_channels(image)
            return resize_image(to_0_255(image, self._preprocessing, limits), self._size)

        return self._recent.get(self._number, "image", compute)

    @property
    def labels(self) -> Labels2D:
        """``(height, width)`` int32; -1 is not annotated."""

        def compute() -> Labels2D:
            return resize_labels(self._annotated.labels, self._size)

        return self._recent.get(self._number, "labels", compute)

    @property
    def targets(self) -> Float3D:
        """``(3, height, width)`` float32, see ``targets.py``."""

        def compute() -> Float3D:
            return distance_targets(self.labels)

        return self._recent.get(self._number, "targets", compute)


def lazy_samples(
    annotated: Sequence[AnnotatedImage],
    preprocessings: Sequence[Preprocessing],
    image_size: int,
    *,
    memory: int = MEMORY,
) -> list[LazySample]:
    """Return all images at the model's scale; nothing is read or computed yet.

    Args:
        annotated: The images.
        preprocessings: The model's intensities, and the scale, for each image.
        image_size: The model's image size.
        memory: Bytes that all of them keep together; see ``RecentArrays``.
    """
    recent = RecentArrays(memory)
    return [
        LazySample(a, preprocessing, image_size, number=number, recent=recent)
        for number, (a, preprocessing) in enumerate(zip(annotated, preprocessings, strict=True))
    ]


def prepare(annotated: AnnotatedImage, preprocessing: Preprocessing, image_size: int) -> Sample:
    """Bring an annotated image to the model's intensities and scale, and compute its targets."""
    (lazy,) = lazy_samples([annotated], [preprocessing], image_size)
    return Sample(lazy.image, lazy.labels, lazy.targets, lazy.group, lazy.weight)


def scaled_size(shape: tuple[int, ...], scale: float | None, image_size: int) -> Size:
    """Return an image's size at the model's scale; it may exceed the model's image size."""
    height, width = shape[0], shape[1]
    if scale is None:
        return input_size((height, width), image_size, None)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
