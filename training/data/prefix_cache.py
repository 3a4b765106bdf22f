"""What the frozen part of an encoder makes of each crop, computed once.

In: a crop's name and a function that computes. Out: the values, from memory or a file of the run
after the first time. They are stored as float16, in 6 MB for a crop of ViT-B at 1024 pixels.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import read_tensors, write_tensors

NAME = "values"

MEMORY = 2**30
"""Bytes that are kept in memory, beside the files (own choice: a small part of a laptop's)."""

RELATIVE_ERROR = 2.0**-11
"""Largest relative error of a stored value that float16 can hold with full precision."""

SMALLEST, LARGEST = 2.0**-14, 65504.0
"""The range of these values. Smaller ones are off by at most ``2**-25``; an array with a larger one
is stored as float32."""


def cache_identity(of: Mapping[str, Any]) -> str:
    """Return an identity of all that cached values depend on.

    Args:
        of: Digests and settings by name: weights, data, preprocessing, crops.
    """
    text = repr(sorted((name, str(value)) for name, value in of.items()))
    return weights_digest({"id": np.frombuffer(text.encode(), np.uint8)})


class PrefixCache:
    """Computes values when they are first asked for, and then remembers or reads them.

    Each has a file in a folder of the run, so that it survives a resume. If the folder has another
    ``identity``, it is emptied. If the disk is full, values that are in no file are computed again.

    Args:
        folder: Folder for the files.
        identity: From ``cache_identity``.
        memory: Bytes to keep in memory.
    """

    def __init__(self, folder: Path, identity: str, *, memory: int = MEMORY) -> None:
        self._folder = folder / identity.rpartition(":")[2][:16]
        self._left = memory
        self._known: dict[str, np.ndarray[Any, Any]] = {}
        for other in folder.glob("*") if folder.is_dir() else ():
            if other != self._folder:
                shutil.rmtree(other, ignore_errors=True)

    def __call__(self, name: str, compute: Callable[[], Tensor]) -> Tensor:
        """Return values by name.

        Args:
            name: A file name without its ending; equal names have equal values.
            compute: Called if nobody knows them.

        Returns:
            The values as they are stored, in float32: also the first time, so that a run that was
            interrupted in between sees the same bits.
        """
        stored = self._known[name] if name in self._known else self._stored(name, compute)
        return torch.from_numpy(stored.astype(np.float32))

    def _stored(self, name: str, compute: Callable[[], Tensor]) -> np.ndarray[Any, Any]:
        path = self._folder / f"{name}.safetensors"
        try:
            values = np.array(read_tensors(path)[NAME])
        except (NotFoundError, FormatError, KeyError):  # missing or damaged, so compute it
            values = _rounded(compute().detach().float().cpu().numpy())
            try:
                write_tensors(path, {NAME: values}, {})
            except StorageError:
                path.unlink(missing_ok=True)
        if values.nbytes <= self._left:
            self._left -= values.nbytes
            self._known[name] = values
        return values


def _rounded(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    fits = bool((np.abs(values) <= LARGEST).all())  # false for NaN, too
    return np.ascontiguousarray(values, np.float16 if fits else np.float32)
