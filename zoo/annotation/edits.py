"""Changes of labels: objects added, replaced, deleted, merged, and automatic ones taken over.

In: labels, and what a person wants. Out: the labels afterwards; the labels given stay as they are.
``splitting.py`` has the cut along a line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.pixels.reader import Window
from samzoo.runtime.prompts.cutouts import MaskPart

KEPT_SHARE = 0.5
"""An automatic object is added beside those that are there if at least this share of it is free
(own choice: one that only peeps out behind a corrected object is that object)."""

MOST_SHOWN = 8
"""Ids that a message names (own choice)."""


def add(labels: Labels2D, part: MaskPart, *, over: bool = False) -> tuple[Labels2D, int]:
    """Add a mask as a new object.

    Args:
        labels: ``(height, width)`` int32.
        part: The mask, cut out.
        over: The mask takes pixels of other objects; else they keep theirs.

    Returns:
        The labels afterwards, and the new object's label: the largest one plus 1.

    Raises:
        InputError: The mask is empty, or nothing of it is free.
    """
    label = int(labels.max(initial=0)) + 1
    return _painted(labels.copy(), part, label, over=over), label


def replace(labels: Labels2D, label: int, part: MaskPart, *, over: bool = False) -> Labels2D:
    """Give an object another mask.

    Args:
        labels: ``(height, width)`` int32.
        label: The object.
        part: Its new mask, cut out.
        over: As for ``add``.

    Raises:
        InputError: There is no such object, or as for ``add``.
    """
    check_ids(labels, [label])
    after = labels.copy()
    after[after == label] = 0
    return _painted(after, part, label, over=over)


def _painted(after: Labels2D, part: MaskPart, label: int, *, over: bool) -> Labels2D:
    row, column, mask = part
    if not mask.any():
        raise InputError("the mask is empty; prompt again, with a point in the object or a box")
    window = after[row : row + mask.shape[0], column : column + mask.shape[1]]
    free = mask if over else mask & (window == 0)
    if not free.any():
        others = shown_ids(np.unique(window[mask]))
        raise InputError(
            f"the mask lies wholly in other objects ({others}), which keep their pixels; replace "
            "or delete one of them"
        )
    window[free] = label
    return after


def delete(labels: Labels2D, ids: Sequence[int]) -> Labels2D:
    """Delete objects.

    Args:
        labels: ``(height, width)`` int32.
        ids: Their labels, at least one.

    Raises:
        InputError: There is no such object, or none is named.
    """
    check_ids(labels, ids)
    after = labels.copy()
    after[np.isin(after, np.asarray(ids, np.int32))] = 0
    return after


def merge(labels: Labels2D, ids: Sequence[int]) -> Labels2D:
    """Make several objects one, which has the smallest of their labels.

    Args:
        labels: ``(height, width)`` int32.
        ids: Their labels, at least two.

    Raises:
        InputError: There is no such object, or fewer than two are named.
    """
    check_ids(labels, ids)
    if len(set(ids)) < 2:
        raise InputError(f"merging needs two objects or more, found {shown_ids(ids)} alone")
    after = labels.copy()
    after[np.isin(after, np.asarray(ids, np.int32))] = min(ids)
    return after


def adopt(labels: Labels2D, found: Labels2D, *, keep: bool) -> Labels2D:
    """Take automatic labels over.

    Args:
        labels: ``(height, width)`` int32.
        found: The automatic labels, of the same size.
        keep: What is there stays, and only objects are added of which ``KEPT_SHARE`` is free; else
            the automatic labels replace all.

    Returns:
        The labels afterwards. Added objects are numbered after the largest label, in their order.
    """
    if not keep:
        return found.copy()
    free = np.where(labels == 0, found, 0)
    most = int(found.max(initial=0)) + 1
    areas, left = (np.bincount(each.ravel(), minlength=most) for each in (found, free))
    chosen = (left > 0) & (left >= KEPT_SHARE * areas)
    chosen[0] = False
    numbers = np.where(chosen, np.cumsum(chosen) + int(labels.max(initial=0)), 0).astype(np.int32)
    added: Labels2D = np.where(labels == 0, numbers[free], labels)
    return added


def changed_window(before: Labels2D, after: Labels2D) -> Window | None:
    """Return the tight window (y0, x0, y1, x1) in which two label images differ; None if nowhere.

    >>> changed_window(np.zeros((4, 4), np.int32), np.diag([0, 1, 2, 0]).astype(np.int32))
    (1, 1, 3, 3)
    """
    differs = before != after
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return None
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def check_ids(labels: Labels2D, ids: Sequence[int]) -> None:
    """Refuse ids that no object has.

    Raises:
        InputError: There is no such object, or none is named.
    """
    if not ids:
        raise InputError("no object is named; name at least one by its label")
    there = np.unique(labels[labels > 0])
    missing = sorted(set(ids) - set(there.tolist()))
    if missing:
        known = f"they hold {shown_ids(there)}" if len(there) else "they hold no object"
        raise InputError(f"object {missing[0]}: is not in the labels; {known}")


def shown_ids(ids: Sequence[int] | Labels2D) -> str:
    """Name ids for a message, the first few of many.

    >>> shown_ids([3, 1, 2]), shown_ids(range(1, 100))
    ('1, 2, 3', '1, 2, 3, 4, 5, 6, 7, 8, ... 99')
    """
    known = sorted({int(each) for each in ids} - {0})
    first = ", ".join(map(str, known[:MOST_SHOWN]))
    return first if len(known) <= MOST_SHOWN else f"{first}, ... {known[-1]}"
