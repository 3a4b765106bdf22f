"""Choices among images that come in groups: fields, scenes, patients.

In: items that each belong to an image, and the images' groups. Out: items, drawn so that each group
counts alike, or by its weight. Images of one group look alike, so that 28 tiles of one field teach
little more than one tile does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item", bound=tuple[int, ...])
"""A crop's key or corner; its first number is that of its image."""


class GroupedChoices(Generic[Item]):
    """Draws a group by its weight, then an image of it, then an item of that image.

    Images of a group have equal chances, and items of an image. If no image has a group and all
    weights are 1, each item has the same chance instead, so that a large image counts for
    as many crops as it holds.

    Args:
        items: What is drawn.
        groups: The group of each image; an image whose group is empty is a group of its own.
        weights: The weight of each image's group, above 0; the first image's counts.
    """

    def __init__(
        self, items: Sequence[Item], groups: Sequence[str], weights: Sequence[float]
    ) -> None:
        self._items = list(items)
        self._by_group: list[list[list[Item]]] = []
        self._limits: NDArray[np.float64] | None = None
        weighted = any(weight != 1 for weight in weights)
        if any(groups) or weighted:
            by_image: dict[int, list[Item]] = {}
            for item in items:
                by_image.setdefault(item[0], []).append(item)
            by_group: dict[str | int, list[list[Item]]] = {}
            for image, own in by_image.items():
                by_group.setdefault(groups[image] or image, []).append(own)
            self._by_group = list(by_group.values())
            if weighted and self._by_group:
                sums = np.cumsum([weights[group[0][0][0]] for group in self._by_group])
                self._limits = sums / sums[-1]

    def draw(self, rng: np.random.Generator) -> Item:
        """Draw an item; there must be one."""
        if not self._by_group:
            return self._items[rng.integers(len(self._items))]
        if self._limits is None:  # as runs before there were weights drew
            number = int(rng.integers(len(self._by_group)))
        else:
            number = int(np.searchsorted(self._limits, rng.random(), side="right"))
        group = self._by_group[number]
        image = group[rng.integers(len(group))]
        return image[rng.integers(len(image))]


def share_of(images: Collection[int], groups: Sequence[str], weights: Sequence[float]) -> float:
    """Return how much some images count among all: groups by weight, images of a group alike.

    Args:
        images: Numbers of the images.
        groups: The group of each image, empty where there is none.
        weights: The weight of each image's group, above 0.

    >>> share_of([0], ["a", "a", "b"], [1, 1, 1])
    0.25
    >>> share_of([0], ["a", "a", "b"], [3, 3, 1])
    0.375
    """
    by_group: dict[str | int, list[int]] = {}
    for image, group in enumerate(groups):
        by_group.setdefault(group or image, []).append(image)
    total = sum(weights[own[0]] for own in by_group.values())
    found = sum(
        weights[own[0]] * sum(image in images for image in own) / len(own)
        for own in by_group.values()
    )
    return found / total if total else 0.0
