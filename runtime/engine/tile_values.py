"""Embeddings of tiles, computed or read when they are first asked for.

In: a function that returns one tile's embeddings. Out: an object that ``ImageEmbeddings.values``
may be instead of an array.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, Protocol, overload

import numpy as np

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.arrays import Float3D, Float4D

REMEMBERED = 16
"""Tiles that stay in memory (own choice: 64 MB at a grid of 64)."""


class TileValues(Protocol):
    """``(tiles, 256, grid, grid)`` float32: an array, or ``LazyTiles``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all tiles together."""

    def __len__(self) -> int:
        """Return the number of tiles."""

    def __iter__(self) -> Iterator[Any]:
        """Yield each tile's values."""

    @overload
    def __getitem__(self, index: int) -> Float3D: ...

    @overload
    def __getitem__(self, index: slice) -> Float4D: ...


class LazyTiles:
    """Tiles that are computed when they are first asked for; see ``TileValues``.

    Args:
        count: Number of tiles.
        grid: Side of the embeddings.
        compute: Returns the embeddings ``(256, grid, grid)`` of the tile with a given number.
        remembered: Tiles that stay in memory.
    """

    def __init__(
        self,
        count: int,
        grid: int,
        compute: Callable[[int], Float3D],
        *,
        remembered: int = REMEMBERED,
    ) -> None:
        self.shape = (count, EMBEDDING_CHANNELS, grid, grid)
        self._compute = compute
        self._remembered = remembered
        self._last: OrderedDict[int, Float3D] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of tiles."""
        return self.shape[0]

    def __iter__(self) -> Iterator[Float3D]:
        """Yield each tile's values."""
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Float3D: ...

    @overload
    def __getitem__(self, index: slice) -> Float4D: ...

    def __getitem__(self, index: int | slice) -> Float3D | Float4D:
        """Return one tile, or several stacked."""
        if isinstance(index, slice):
            return np.stack([self[i] for i in range(*index.indices(len(self)))])
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        index %= len(self)
        if index not in self._last:
            self._last[index] = self._compute(index)
            if len(self._last) > self._remembered:
                self._last.popitem(last=False)
        self._last.move_to_end(index)
        return self._last[index]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Float4D:
        """Return all tiles as an array."""
        del copy
        return np.stack(list(self)).astype(dtype or np.float32, copy=False)
