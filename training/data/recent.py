"""Arrays that were computed lately, kept in a bounded part of the memory.

In: whose array it is, which one, and a function that computes it. Out: the array, from memory if it
was asked for not long ago.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from samzoo.runtime.formats.arrays import Array

MEMORY = 2**28
"""Bytes that are kept (own choice: 140 images of 256 x 256 pixels with their targets, and a small
part of a laptop's memory)."""


class RecentArrays:
    """Keeps the arrays of those owners that were asked for last.

    Args:
        memory: Bytes to keep. The arrays of the owner asked for last stay in any case.
    """

    def __init__(self, memory: int = MEMORY) -> None:
        self._memory = memory
        self._kept: OrderedDict[int, dict[str, Array]] = OrderedDict()
        self._bytes = 0

    def get(self, owner: int, name: str, compute: Callable[[], Array]) -> Array:
        """Return an array, which the caller must not change.

        Args:
            owner: Whose it is, such as the number of an image.
            name: Which of the owner's arrays.
            compute: Called if it is not kept; it may ask for other arrays.
        """
        known = self._kept.get(owner, {}).get(name)
        if known is None:
            known = compute()
            self._kept.setdefault(owner, {})[name] = known
            self._bytes += known.nbytes
        self._kept.move_to_end(owner)
        while self._bytes > self._memory and len(self._kept) > 1:
            _, dropped = self._kept.popitem(last=False)
            self._bytes -= sum(array.nbytes for array in dropped.values())
        return known
