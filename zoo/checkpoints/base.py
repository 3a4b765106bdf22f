"""A base in memory: where it lies, its config, and all its weights as float32.

In: a base folder. Out: a ``Base``, whose tensors can be picked network by network.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import read_model_folder


@dataclass(frozen=True)
class Base:
    """The base that an adapter belongs to.

    Attributes:
        folder: The base folder.
        config: Its config.
        tensors: All its weights by SAM's names, float32 where they are floating point.
    """

    folder: Path
    config: ModelConfig
    tensors: Tensors

    def part(self, *prefixes: str) -> Tensors:
        """Pick the tensors of some networks."""
        return {name: value for name, value in self.tensors.items() if name.startswith(prefixes)}


def read_base(folder: Path) -> Base:
    """Read a base folder into memory.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, or they do not belong together.
    """
    config, tensors = read_model_folder(folder)
    return Base(folder, config, {name: as_float32(value) for name, value in tensors.items()})


def as_float32(value: Array) -> Array:
    """Return floating-point values as float32; counters stay as they are."""
    return value.astype(np.float32) if np.issubdtype(value.dtype, np.floating) else value
