"""What a set of annotated images holds: said in one line, and kept for reports.

In: images and labels, one after the other. Out: counts, sentences about what is odd, and the
images' identities.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.label_arrays import (
    IGNORED,
    equivalent_diameters,
    median_object_diameter,
    object_areas,
)

from .alignment import Edges, Neighbours
from .contents import content_identity

MOST_ODD = 5
"""Odd label images that are named; the others are counted (own choice)."""


@dataclass
class LabelCounts:
    """What label images hold, counted while they are read.

    Attributes:
        images: Number of label images.
        empty: Those without an object.
        areas: Areas of all objects in pixels, an array for each image.
        ignored: Pixels that are not annotated.
        pixels: All pixels.
    """

    images: int = 0
    empty: int = 0
    areas: list[NDArray[np.int64]] = field(default_factory=list)
    ignored: int = 0
    pixels: int = 0

    @classmethod
    def of(cls, labels: Iterable[Labels2D]) -> LabelCounts:
        """Count label images."""
        counts = cls()
        for each in labels:
            counts.add(each)
        return counts

    def add(self, labels: Labels2D) -> None:
        """Count one more label image."""
        areas = object_areas(labels)
        self.images += 1
        self.empty += not len(areas)
        self.areas.append(areas)
        self.ignored += int((labels == IGNORED).sum())
        self.pixels += labels.size

    @property
    def objects(self) -> int:
        """Number of objects in all images."""
        return sum(len(each) for each in self.areas)

    def line(self) -> str:
        """Say it in one line; a diameter is that of the circle of the object's area."""
        parts = [_number(self.images, "image"), _number(self.objects, "object")]
        if self.objects:
            median, smallest = self._diameters()
            parts += [f"median diameter {median:.0f} px", f"smallest {smallest:.0f} px"]
        if self.empty:
            parts.append(f"{_number(self.empty, 'image')} without objects")
        if self.ignored:
            share = max(100 * self.ignored / self.pixels, 0.1)
            digits = 0 if share >= 1 else 1
            parts.append(f"{share:.{digits}f} % of the pixels not annotated")
        return ", ".join(parts)

    def facts(self) -> dict[str, float]:
        """Return the same for JSON."""
        median, smallest = self._diameters() if self.objects else (0.0, 0.0)
        return {
            "images": self.images, "objects": self.objects,
            "median_diameter": round(median, 1), "smallest_diameter": round(smallest, 1),
            "images_without_objects": self.empty,
            "not_annotated": round(self.ignored / max(self.pixels, 1), 4),
        }  # fmt: skip

    def _diameters(self) -> tuple[float, float]:
        areas = np.concatenate(self.areas)
        return median_object_diameter(areas), float(equivalent_diameters(areas.min()))


def _number(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


@dataclass
class Survey:
    """What was read so far.

    Attributes:
        counts: Images, objects, sizes.
        odd: Sentences about labels that are odd, but may be right.
        contents: The identity of each image, in order; empty for an image of one value.
        neighbours: Whether labels fit the image before or after theirs better.
        notes: The names of images by what is to be known of their files.
    """

    counts: LabelCounts = field(default_factory=LabelCounts)
    odd: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    neighbours: Neighbours = field(default_factory=Neighbours)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(
        self,
        image: Array,
        labels: Labels2D,
        *,
        odd: Sequence[str],
        notes: Sequence[str] = (),
        name: str = "",
        edges: Edges | None = None,
    ) -> None:
        """Add one annotated image.

        Args:
            image: The image.
            labels: Its labels.
            odd: Sentences about odd labels.
            notes: Sentences about the image's file.
            name: Names the image beside its notes.
            edges: Those of the image and its labels, if they are known.
        """
        for note in notes:
            self.notes.setdefault(note, []).append(name)
        self.counts.add(labels)
        self.odd += odd
        self.contents.append(content_identity(image))
        self.neighbours.add(edges or Edges.of(image, labels))

    def facts(self) -> dict[str, object]:
        """Return counts and what is odd, for JSON."""
        return {
            **self.counts.facts(), "odd": [*self.odd, *self.neighbours.sentences()],
            "notes": self.on_images(),
        }  # fmt: skip

    def on_images(self) -> list[str]:
        """Return what is to be known of the images' files, each sentence once."""
        said = []
        for note, names in self.notes.items():
            more = f" and {_number(len(names) - 1, 'more image')}" if len(names) > 1 else ""
            said.append(f"{names[0]}{more}: {note}")
        return said

    def sentences(self) -> list[str]:
        """Return what a person should read: the line of counts, then what is odd."""
        more = len(self.odd) - MOST_ODD
        rest = [f"and {_number(more, 'more label image')} as odd"] if more > 0 else []
        rest += self.neighbours.sentences()
        known = [each for each in self.contents if each]
        if copies := len(known) - len(set(known)):
            rest.append(
                "copies of a picture that is there already, perhaps mirrored or turned: "
                f"{copies} of {_number(len(self.contents), 'image')}"
            )
        return [self.counts.line(), *self.on_images(), *self.odd[:MOST_ODD], *rest]
