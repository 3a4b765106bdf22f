"""Label images that are well formed and mean something else, found by their looks.

In: labels as numbers, and the image. Out: nothing, a note, or an error with the remedy: for masks
of all objects at once, class maps, labels that were resized with interpolation or saved as JPEG,
and images given as labels.

How the limits were chosen: on the 1046 label images of DSB 2018 (fluorescence, histology),
ultrasound of nerves and heads, and FIB-SEM neurites, and on copies of every fifth or so, spoiled on
purpose (halved, 1.3, 2 and 4 times enlarged, bilinear and bicubic; JPEG of quality 50 to 95;
masks). Each limit's docstring has what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from bioimage_cpp.segmentation import label as connected_parts
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array, Labels2D

MOST_PARTS = 3
"""An object may have this many separate parts, because something lies across it or the border cuts
it. Measured: one object of 22,976 has two, none has more; class maps and masks have 3 to 375."""

PART_SHARE = 0.1
"""Parts smaller than this share of the object's largest are specks, not parts (own choice)."""

MANY_MERGED = 0.1
"""Share of a label image's ids with more than ``MOST_PARTS`` from which it is refused; below, one
odd object of many is only noted (own choice; class maps have a share of nearly 1)."""

OFTEN_SEVERAL = 0.05
"""Share of ids with two or three parts above which a note says so. Measured: at most 0.013 in real
labels."""

FEWEST_SEVERAL = 3
"""Fewer ids in several parts prove nothing, if they are not more than half of all (own choice)."""

MOST_OF_IMAGE = 0.5
"""Share of the image from which the largest id, if it touches all four sides, is taken for the
background. Measured: no object of 22,976 does; fetal heads fill up to 0.53 and touch no side."""

MOST_GRADIENT = 0.05
"""Share of pixels at outlines that lie between their two neighbours' ids. Measured: at most 0.008
in real labels; 0.15 and more in most spoiled ones."""

SPECK = 4
"""Pixels of the largest speck."""

MOST_SPECKS = 0.5
"""Share of all parts that are specks. Measured: 0 in real labels, at most 0.17 in those halved
without interpolation; 0.26 to 0.99 in nearly all spoiled ones."""

FEWEST = 10
"""Fewer specks, or pixels in gradients, prove nothing (own choice)."""

_SPLIT = "pass --split-components to make each part an object"


@dataclass(frozen=True)
class Parts:
    """The connected parts of a label image.

    Attributes:
        owners: The id of each part, ``(n,)``.
        sizes: Pixels of each part, ``(n,)``.
    """

    owners: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Labels2D) -> Parts:
        """Find the parts; pixels that share an edge or a corner belong together."""
        parts = np.asarray(connected_parts(np.maximum(labels, 0))).astype(np.int64).ravel()
        sizes = np.bincount(parts)
        owners = np.zeros(len(sizes), np.int64)
        owners[parts] = labels.ravel()
        sizes[0] = 0
        return cls(owners[sizes > 0], sizes[sizes > 0])

    def count(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the ids, and how many parts each has that are no specks."""
        if not len(self.owners):
            return self.owners, self.sizes
        largest = np.zeros(int(self.owners.max()) + 1, np.int64)
        np.maximum.at(largest, self.owners, self.sizes)
        real = self.sizes >= PART_SHARE * largest[self.owners]
        ids, counts = np.unique(self.owners[real], return_counts=True)
        return ids, counts


def split_components(labels: Labels2D) -> Labels2D:
    """Make each connected part an object; parts that share an edge or a corner stay one.

    Args:
        labels: ``(height, width)`` int32.

    Returns:
        The same pixels, numbered from 1; -1 stays.
    """
    parts = np.asarray(connected_parts(np.maximum(labels, 0)), np.int32)
    parts[labels < 0] = labels[labels < 0]
    return parts


def doubts(labels: Labels2D, image: Array | None = None, *, where: str) -> list[str]:
    """Doubt a label image: refuse one that surely means something else, and note what is odd.

    Args:
        labels: ``(height, width)`` int32, as read.
        image: The image that it belongs to; None if that is not known.
        where: Names the labels in messages.

    Returns:
        Sentences about what is odd, possibly none.

    Raises:
        ImageError: The labels are the image itself, a picture, interpolated or saved as JPEG, a
            mask of many objects or a map of classes, one id everywhere, or not annotated at all.
    """
    _refuse_constants(labels, where)
    if image is not None and _same(labels, image):
        raise ImageError(
            f"{where}: holds the same pixels as its image, so it is no label image; "
            "check --images and --labels"
        )
    parts = Parts.of(labels)
    around = _about_background(labels, parts, where)
    _refuse_spoiled(labels, parts, where)
    return [*around, *_merged(parts, where)]


def _refuse_constants(labels: Labels2D, where: str) -> None:
    first = int(labels[0, 0])
    if not first or labels.size == 1 or (labels != first).any():
        return
    if first < 0:
        raise ImageError(f"{where}: no pixel is annotated (all are {first}); leave this pair out")
    raise ImageError(
        f"{where}: all pixels have the id {first}, so that one object fills the image; if the "
        "image holds no object, set them to 0, else leave this pair out"
    )


def _about_background(labels: Labels2D, parts: Parts, where: str) -> list[str]:
    """Refuse, or note, an id that is the background: it fills the image and touches all sides."""
    if not len(parts.owners):
        return []
    areas = np.bincount(parts.owners, weights=parts.sizes)
    largest = int(areas.argmax())
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    share = areas[largest] / labels.size
    if share < MOST_OF_IMAGE or not all((side == largest).any() for side in sides):
        return []
    found = f"{where}: id {largest} fills {share:.0%} of the image and touches all four sides"
    if np.count_nonzero(areas) == 1:
        holes = np.bincount(np.asarray(connected_parts((labels == 0).astype(np.int32))).ravel())[1:]
        if (holes > SPECK).sum() <= MOST_PARTS:
            return []
        raise ImageError(
            f"{found}, around {(holes > SPECK).sum()} holes: this is a mask in which the objects "
            "are 0. Invert it (Fiji: Edit > Invert; check Image > Lookup Tables > Invert LUT), and "
            f"{_SPLIT}"
        )
    if not (labels == 0).any():
        raise ImageError(
            f"{found}, and no pixel is 0: it is the background. Give the background the number 0, "
            f"for example labels[labels == {largest}] = 0"
        )
    return [f"{found}; it counts as an object. If it is the background, give it the number 0"]


def _same(labels: Labels2D, image: Array) -> bool:
    grey = image[..., 0] if image.ndim == 3 else image
    return bool(labels.any()) and labels.shape == grey.shape and np.array_equal(labels, grey)


def _refuse_spoiled(labels: Labels2D, parts: Parts, where: str) -> None:
    between, at_outlines = np.add(_gradient(labels), _gradient(labels.T))
    specks = int((parts.sizes <= SPECK).sum())
    gradient = between >= FEWEST and between > MOST_GRADIENT * at_outlines
    if not gradient and not (specks >= FEWEST and specks > MOST_SPECKS * len(parts.sizes)):
        return
    found = (
        f"{between / at_outlines:.0%} of the pixels at outlines have an id between their "
        "neighbours', as in a gradient"
        if gradient
        else f"{specks} of {len(parts.sizes)} separate parts have at most {SPECK} pixels"
    )
    if (labels == 0).mean() < 0.1 and len(np.unique(parts.owners)) > 50:
        raise ImageError(
            f"{where}: looks like an image, not like labels: {found}. Are --images and --labels "
            "swapped, or is this a map of probabilities? Give one whole number an object"
        )
    raise ImageError(
        f"{where}: these labels look resized with interpolation, smoothed, or once saved as JPEG: "
        f"{found}. Make them again from the original labels, and resize labels without "
        "interpolation (nearest neighbour; Fiji: Interpolation None)"
    )


def _gradient(labels: Labels2D) -> tuple[int, int]:
    """Count pixels strictly between their left and right neighbours, and all with unequal ones.

    Pixels that nobody annotated, and their neighbours, do not count.
    """
    before, here, after = labels[:, :-2], labels[:, 1:-1], labels[:, 2:]
    known = (before >= 0) & (here >= 0) & (after >= 0)
    between = ((before < here) & (here < after)) | ((before > here) & (here > after))
    return int((between & known).sum()), int(((before != after) & known).sum())


def _merged(parts: Parts, where: str) -> list[str]:
    ids, counts = parts.count()
    many = counts > MOST_PARTS
    if many.sum() > MANY_MERGED * len(ids):
        worst = int(counts.argmax())
        what = "this is a mask of all objects" if len(ids) == 1 else "this may be a map of classes"
        raise ImageError(
            f"{where}: id {ids[worst]} has {counts[worst]} separate parts, but an id is one "
            f"object; {what}. Give each object its own id, or {_SPLIT}"
        )
    if many.any():
        named = ", ".join(str(each) for each in ids[many][:5])
        return [
            f"{where}: {many.sum()} of {len(ids)} ids have more than {MOST_PARTS} separate parts "
            f"({named}); each counts as one object. If they are several, {_SPLIT}"
        ]
    several = int((counts > 1).sum())
    if len(ids) == 1 and several:
        return [
            f"{where}: the only id, {ids[0]}, has {counts[0]} separate parts, which count as one "
            f"object. If they are several, {_SPLIT}"
        ]
    if several > OFTEN_SEVERAL * len(ids) and (several >= FEWEST_SEVERAL or 2 * several > len(ids)):
        eight = (
            " If more than 255 objects were saved with 8 bits, so that numbers were used twice, "
            "save them with 16." if len(ids) > 200 and ids.max() <= 255 else ""
        )  # fmt: skip
        return [
            f"{where}: {several} of {len(ids)} ids have several separate parts; each id counts as "
            f"one object.{eight} If the parts are objects, {_SPLIT}"
        ]
    return []
