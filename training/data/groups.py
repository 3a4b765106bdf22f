"""Choices among images that come in groups: fields, scenes, patients.

In: items that each belong to an image, and the images' groups. Out: items, drawn so that each group
counts alike. Images of one group look alike, so that 28 tiles of one field teach little more than
one tile does.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, TypeVar

import numpy as np

Item = TypeVar("Item", bound=tuple[int, ...])
"""A crop's key or corner; its first number is that of its image."""


class GroupedChoices(Generic[Item]):
    """Draws a group, then an image of it, then an item of that image, each with equal chances.

    If no image has a group, each item has the same chance instead, so that a large image counts for
    as many crops as it holds.

    Args:
        items: What is drawn.
        groups: The group of each image; an image whose group is empty is a group of its own.
    """

    def __init__(self, items: Sequence[Item], groups: Sequence[str]) -> None:
        self._items = list(items)
        self._by_group: list[list[list[Item]]] = []
        if any(groups):
            by_image: dict[int, list[Item]] = {}
            for item in items:
                by_image.setdefault(item[0], []).append(item)
            by_group: dict[str | int, list[list[Item]]] = {}
            for image, own in by_image.items():
                by_group.setdefault(groups[image] or image, []).append(own)
            self._by_group = list(by_group.values())

    def draw(self, rng: np.random.Generator) -> Item:
        """Draw an item; there must be one."""
        if not self._by_group:
            return self._items[rng.integers(len(self._items))]
        group = self._by_group[rng.integers(len(self._by_group))]
        image = group[rng.integers(len(group))]
        return image[rng.integers(len(image))]


def share_of(images: Collection[int], groups: Sequence[str]) -> float:
    """Return how much some images count among all: each group alike, each image of a group alike.

    Args:
        images: Numbers of the images.
        groups: The group of each image, empty where there is none.

    >>> share_of([0], ["a", "a", "b"])
    0.25
    """
    by_group: dict[str | int, list[bool]] = {}
    for image, group in enumerate(groups):
        by_group.setdefault(group or image, []).append(image in images)
    shares = [sum(found) / len(found) for found in by_group.values()]
    return sum(shares) / max(len(shares), 1)
