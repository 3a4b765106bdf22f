"""A list of arrays of which some lie on the disk, so that it may be larger than the memory.

In: arrays, one after the other. Out: the same arrays, by their number.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import overload

from samzoo.runtime.errors import StorageError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.files import read_tensors, write_tensors

from .recent import MEMORY

_NAME = "values"


class SpilledArrays(Sequence[Array]):
    """Arrays of which the first stay in memory, and the others go to files.

    If the disk is full, all stay in memory.

    Args:
        folder: Folder for the files, made when it is needed; who made this list removes it.
        memory: Bytes to keep in memory.
    """

    def __init__(self, folder: Path, *, memory: int = MEMORY) -> None:
        self._folder, self._left = folder, memory
        self._items: list[Array | Path] = []

    def append(self, array: Array) -> None:
        """Add an array."""
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            self._items.append(array)
            return
        path = self._folder / f"{len(self._items)}.safetensors"
        try:
            write_tensors(path, {_NAME: array}, {})
        except StorageError:
            path.unlink(missing_ok=True)
            self._items.append(array)
        else:
            self._items.append(path)

    def __len__(self) -> int:
        """Return the number of arrays."""
        return len(self._items)

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> list[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | list[Array]:
        """Return an array, or several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        item = self._items[index]
        if isinstance(item, Path):
            values: Array = read_tensors(item)[_NAME]
            return values
        return item
