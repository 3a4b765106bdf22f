"""The eight ways in which a picture may lie: mirrored or not, and turned by quarters.

In: an array. Out: its views, without copies.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


def eight_views(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield an array as it is, turned by 90, 180 and 270 degrees, and then mirrored likewise.

    Args:
        array: ``(height, width)`` or ``(height, width, channels)``.

    >>> [view[0].tolist() for view in eight_views(np.array([[1, 2], [3, 4]]))]
    [[1, 2], [2, 4], [4, 3], [3, 1], [2, 1], [1, 3], [3, 4], [4, 2]]
    """
    for mirrored in (array, array[:, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns)
