"""Adapters from other tools, for other tools, and several of them summed.

``reading.py`` makes adapter folders, ``writing.py`` writes adapters for others; a module each for
the formats: ``micro_sam.py``, ``huggingface_peft.py``, ``cellseg1.py``. ``sums.py`` adds adapters
up, ``image_size.py`` resizes a base. Importing this package needs no torch.
"""

from __future__ import annotations

from samzoo.zoo.checkpoints.resizing import resize_base

from .reading import read_foreign_adapter
from .sums import merge_sum, sum_adapters
from .writing import TARGETS, write_foreign_adapter

__all__ = [
    "TARGETS",
    "merge_sum",
    "read_foreign_adapter",
    "resize_base",
    "sum_adapters",
    "write_foreign_adapter",
]
