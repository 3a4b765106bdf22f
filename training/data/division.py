"""Validation data, set aside from training data where the user names none.

In: annotated images. Out: those that are learned and those that validate, which share no group, no
picture and no pixel.
"""

from __future__ import annotations

from collections.abc import Sequence

from samzoo.runtime.errors import ImageError

from .annotated import AnnotatedImage, AnnotatedPart


def split(annotated: Sequence[AnnotatedImage]) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
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
    filled: list[list[AnnotatedImage]] = []
    empty: list[list[AnnotatedImage]] = []
    for group in _together(annotated):
        (filled if any(len(a.areas) for a in group) else empty).append(group)
    if len(filled) >= 4:
        chosen = [*filled[::5], *empty[4::5]]
    elif len(filled) >= 2 and any(a.group for a in annotated):
        chosen = [min(filled, key=len)]
    else:
        return _quarters(annotated)
    validation = [a for group in chosen for a in group]
    marks = {id(a) for a in validation}
    return [a for a in annotated if id(a) not in marks], validation


def _together(annotated: Sequence[AnnotatedImage]) -> list[list[AnnotatedImage]]:
    """Return images that have a group or a picture in common, also by way of others, together."""
    leaders = list(range(len(annotated)))

    def leader(index: int) -> int:
        while leaders[index] != index:
            index = leaders[index]
        return index

    first: dict[tuple[str, str], int] = {}
    for index, a in enumerate(annotated):
        for mark in (("group", a.group), ("picture", a.content or a.identity)):
            if mark[1]:
                ends = leader(index), leader(first.setdefault(mark, index))
                leaders[max(ends)] = min(ends)
    groups: dict[int, list[AnnotatedImage]] = {}
    for index, a in enumerate(annotated):
        groups.setdefault(leader(index), []).append(a)
    return list(groups.values())


def _quarters(
    annotated: Sequence[AnnotatedImage],
) -> tuple[list[AnnotatedImage], list[AnnotatedImage]]:
    """Divide images: the left three quarters of each train, its right quarter validates."""
    filled = [a for a in annotated if len(a.areas)]
    empty = [a for a in annotated if not len(a.areas)]
    left: list[AnnotatedImage] = []
    right: list[AnnotatedImage] = []
    for a in filled:
        cut = a.size[1] * 3 // 4
        parts = (
            AnnotatedPart(a, slice(cut), f"{a.name} (left 3/4)"),
            AnnotatedPart(a, slice(cut, None), f"{a.name} (right 1/4)"),
        )
        if all(len(part.areas) for part in parts):
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
