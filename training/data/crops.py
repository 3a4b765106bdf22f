"""Training crops: windows of annotated images, drawn at random, mirrored and turned.

In: a whole image at the model's scale. Out: ``Crop``, the window that one step sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Float3D, Labels2D
from samzoo.runtime.images.geometry import Size, resize_image
from samzoo.runtime.images.tiles import even_tiles

from .groups import GroupedChoices, Item, share_of
from .samples import ScaledImage

MIN_TRAINING_PIXELS = 25
"""Least size of a training object, or of a piece of it, at the model's scale. Source: micro-sam
1.8.14, ``min_size`` of its label transform."""

Variant = int
"""A number from 0 to 7: bit 0 mirrors columns, bit 1 mirrors rows, bit 2 swaps the axes."""

VARIANTS: dict[str, tuple[Variant, ...]] = {
    "none": (0,),
    "flip": (0, 1, 2, 3),
    "dihedral": tuple(range(8)),
}


CropKey = tuple[int, int, int, Variant, int]
"""A crop by the number of its sample, its corner (y, x), how it is mirrored and turned, and its
zoom in thousandths."""

UNCHANGED = 1000
"""The zoom of a crop at its sample's scale."""


@dataclass(frozen=True)
class Crop:
    """The window of a sample that one step sees, mirrored or turned.

    Attributes:
        image: ``(height, width, 3)`` float32 in 0..255, both sides at most ``image_size``.
        labels: ``(height, width)`` int32; -1 is not annotated.
        targets: ``(3, height, width)`` float32.
        key: (sample, y0, x0, variant, zoom); the zoom in thousandths. Equal keys are equal crops;
            embeddings of a frozen encoder are stored by key.
    """

    image: Array
    labels: Labels2D
    targets: Float3D
    key: CropKey


def turn(array: Array, variant: Variant) -> Array:
    """Mirror and transpose the last two axes of ``(..., height, width)``."""
    if variant & 1:
        array = array[..., ::-1]
    if variant & 2:
        array = array[..., ::-1, :]
    if variant & 4:
        array = array.swapaxes(-1, -2)
    return array


MOST_NEGATIVE = 0.2
"""Largest share of steps on crops of images without objects (own choice: a step there teaches only
the foreground map, and a few show it what to leave out)."""


class CropSampler:
    """Draws crops that hold at least one object, or lie in an image without any.

    Where samples have groups, each group has the same chance, see ``groups.py``.

    Args:
        samples: Where crops are drawn from.
        side: Side of a crop.
        augmentation: A key of ``VARIANTS``.
        rng: Source of all random choices.
        negatives: Also draw crops of images without objects, for an objective that learns from
            them; at most ``MOST_NEGATIVE`` of all.
        seed: Seed of a fixed set of crops, which does not depend on how many were drawn before.
        scale_jitter: A crop is enlarged by up to this factor or shrunk to its inverse, evenly on a
            log scale; 1 is off. What it shows is then smaller or larger than ``side``.

    Attributes:
        n_fixed: Number of different crops in the fixed set; 0 if there is none.
    """

    def __init__(
        self,
        samples: Sequence[ScaledImage],
        *,
        side: int,
        augmentation: str,
        rng: np.random.Generator,
        negatives: bool = False,
        seed: int = 0,
        scale_jitter: float = 1.0,
    ) -> None:
        self.rng = rng
        self.n_fixed = 0
        self._samples = samples
        self._side = side
        self._seed = seed
        self._jitter = scale_jitter
        self._fixed: tuple[GroupedChoices[CropKey], GroupedChoices[CropKey]] | None = None
        self._variants = VARIANTS[augmentation]
        self._corners: list[tuple[int, int, int]] = []
        self._empty_corners: list[tuple[int, int, int]] = []
        empty = []
        for i, sample in enumerate(samples):
            labels = sample.labels  # asked for once, because it may come from a file
            if (labels > 0).any():
                self._corners += self._corners_of(i, labels, _has_object)
            elif negatives:
                empty.append(i)
                self._empty_corners += self._corners_of(i, labels, _has_background)
        if not self._corners:
            raise ImageError(
                f"no training image holds an object of {MIN_TRAINING_PIXELS} pixels or more at "
                "the model's scale; check the label images and preprocessing.scale"
            )
        self._groups = [sample.group for sample in samples]
        self._weights = [sample.weight for sample in samples]
        share = share_of(empty, self._groups, self._weights)
        self._negative_share = min(MOST_NEGATIVE, share)
        self._choices = (
            self._grouped(self._corners),
            self._grouped(self._empty_corners),
        )

    def _grouped(self, items: Sequence[Item]) -> GroupedChoices[Item]:
        return GroupedChoices(items, self._groups, self._weights)

    def _corners_of(
        self, index: int, labels: Labels2D, usable: Callable[[Labels2D], bool]
    ) -> list[tuple[int, int, int]]:
        """Return the corners of windows that cover an image, where they hold what is needed."""
        size = labels.shape[0], labels.shape[1]
        tiles = even_tiles(size, self._side, self._side // 4)
        return [
            (index, y, x)
            for y, x in (tile.outer[:2] for tile in tiles)
            if usable(_window(labels, y, x, self._side))
        ]

    def fix(self, count: int) -> None:
        """From now on draw from a fixed set, so that each crop is seen many times.

        Args:
            count: Number of crops for each image, or for each part of a larger one that is as
                large as a crop. The first of them is that part; the others lie anywhere in the
                image. They take turns in how they are mirrored and turned.
        """
        filled, empty = (
            [
                self._variant(
                    corner,
                    (number + k) % len(self._variants),
                    rng,
                    move=k > 0,
                    jitter=self._jitter if k else 1,
                )
                for number, corner in enumerate(corners)
                for k in range(count)
                for rng in [np.random.default_rng([self._seed, role, number, k])]
            ]
            for role, corners in enumerate((self._corners, self._empty_corners))
        )
        self.n_fixed = len({*filled, *empty})
        self._fixed = self._grouped(filled), self._grouped(empty)

    def draw(self, rng: np.random.Generator | None = None) -> Crop:
        """Draw the next crop, with random numbers of its own if a source is given."""
        rng = self.rng if rng is None else rng
        # Without negative images no number is drawn, so that older runs are repeated exactly.
        negative = bool(self._empty_corners) and rng.random() < self._negative_share
        if self._fixed is not None:
            index, y, x, variant, zoom = self._fixed[negative].draw(rng)
        else:
            corner = self._choices[negative].draw(rng)
            turned = int(rng.integers(len(self._variants)))
            index, y, x, variant, zoom = self._variant(
                corner, turned, rng, move=not negative, jitter=self._jitter
            )
        sample = self._samples[index]
        extent = self._extent(zoom)
        image = sample.image[y : y + extent, x : x + extent]
        if zoom != UNCHANGED:
            image = resize_image(image, _zoomed_size(image.shape, zoom, self._side))
        labels = self._zoomed(_window(sample.labels, y, x, extent), zoom)
        targets = self._zoomed(_window(sample.targets, y, x, extent), zoom)
        return Crop(
            image=turn(image.transpose(2, 0, 1), variant).transpose(1, 2, 0).astype(np.float32),
            labels=np.ascontiguousarray(turn(labels, variant)),
            targets=turn(targets, variant),
            key=(index, y, x, variant, zoom),
        )

    def _variant(
        self,
        corner: tuple[int, int, int],
        turned: int,
        rng: np.random.Generator,
        *,
        move: bool,
        jitter: float,
    ) -> CropKey:
        """Return the key of a crop: at a corner, or anywhere in its image where an object is."""
        index, y, x = corner
        labels = self._samples[index].labels
        zoom = UNCHANGED
        if jitter > 1:
            zoom = round(UNCHANGED * jitter ** rng.uniform(-1, 1))
        extent = self._extent(zoom)
        most_y, most_x = (max(0, length - extent) for length in labels.shape)
        filled = bool((labels > 0).any())
        if move and filled:
            for _ in range(100):  # if objects are very rare, the fixed corner stays
                free_y, free_x = int(rng.integers(most_y + 1)), int(rng.integers(most_x + 1))
                if self._shows_object(labels, free_y, free_x, zoom):
                    return index, free_y, free_x, self._variants[turned], zoom
        moved = min(y, most_y), min(x, most_x)
        if zoom == UNCHANGED or (filled and not self._shows_object(labels, *moved, zoom)):
            return index, y, x, self._variants[turned], UNCHANGED
        return index, *moved, self._variants[turned], zoom

    def _extent(self, zoom: int) -> int:
        """Return the side of what a crop shows, in pixels of its sample."""
        return max(1, round(self._side * UNCHANGED / zoom))

    def _zoomed(self, window: Array, zoom: int) -> Array:
        """Resize ``(..., height, width)`` by the nearest neighbours, as labels are."""
        if zoom == UNCHANGED:
            return window
        height, width = window.shape[-2:]
        size = _zoomed_size((height, width), zoom, self._side)
        rows, columns = (
            ((np.arange(new) + 0.5) * old / new).astype(np.intp)
            for old, new in zip((height, width), size, strict=True)
        )
        resized: Array = window[..., rows[:, None], columns]
        return resized

    def _shows_object(self, labels: Labels2D, y: int, x: int, zoom: int) -> bool:
        return _has_object(self._zoomed(_window(labels, y, x, self._extent(zoom)), zoom))


def training_objects(labels: Labels2D) -> list[int]:
    """Return the labels of the objects in a crop that are large enough to train on."""
    counts = np.bincount(labels[labels > 0])
    return [int(i) for i in np.flatnonzero(counts >= MIN_TRAINING_PIXELS)]


def _zoomed_size(shape: tuple[int, ...], zoom: int, side: int) -> Size:
    height, width = (max(1, min(side, round(length * zoom / UNCHANGED))) for length in shape[:2])
    return height, width


def _window(array: Array, y: int, x: int, side: int) -> Array:
    return array[..., y : y + side, x : x + side]


def _has_object(labels: Labels2D) -> bool:
    return bool(training_objects(labels))


def _has_background(labels: Labels2D) -> bool:
    return bool((labels == 0).any())
