"""The eight ways in which a picture may lie: mirrored or not, and turned by quarters.

In: an array. Out: its views, without copies; and from maps of a view those of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def view(array: NDArray[Any], *, mirrored: bool, turns: int) -> NDArray[Any]:
    """Return an array as it looks when its picture lies in another way.

    Args:
        array: ``(height, width)`` or ``(height, width, channels)``.
        mirrored: Left and right are exchanged first.
        turns: Quarter turns.
    """
    return np.rot90(array[:, ::-1] if mirrored else array, turns)


def upright(maps: NDArray[Any], *, mirrored: bool, turns: int) -> NDArray[Any]:
    """Bring maps of a view back to the picture as it is.

    Args:
        maps: ``(channels, height, width)``, computed from ``view``.
        mirrored: As for ``view``.
        turns: As for ``view``.
    """
    turned = np.rot90(maps, -turns, (1, 2))
    return turned[:, :, ::-1] if mirrored else turned


def eight_views(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array as it is, turned by 90, 180 and 270 degrees, and then mirrored likewise.

    Args:
        array: ``(height, width)`` or ``(height, width, channels)``.

    >>> [view[0].tolist() for view in eight_views(np.array([[1, 2], [3, 4]]))]
    [[1, 2], [2, 4], [4, 3], [3, 1], [2, 1], [1, 3], [3, 4], [4, 2]]
    """
    for mirrored in (False, True):
        for turns in range(4):
            yield view(array, mirrored=mirrored, turns=turns)
