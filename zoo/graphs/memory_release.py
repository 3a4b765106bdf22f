"""Release of freed memory to the system, during and between steps that take gigabytes.

glibc keeps freed memory that lies between blocks still in use: after the export of a ViT-B, 3.3 GB
of the 6.3 GB that the process held.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

M_MMAP_THRESHOLD = -3
"""The parameter's number. Source: glibc, ``malloc.h``."""

LARGE_BLOCK = 4 * 2**20
"""Bytes; below the 16 MB of a piece of attention scores (own choice, measured)."""


def return_freed_memory() -> None:
    """Collect garbage and, where the C library can, return free memory to the system."""
    gc.collect()
    with suppress(OSError, AttributeError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).malloc_trim(0)


def keep_large_blocks_apart() -> None:
    """Let the C library map each large block by itself, so that freeing it returns its memory.

    glibc raises its limit for that to 32 MB as soon as a block of this size is freed. Blocks below
    it then come from the heap, where small objects that stay, such as the nodes of a traced graph,
    keep freed memory from being used again: tracing three blocks of a ViT-B, two of them with
    global attention, took 3.6 GB; with this limit it takes 1.2 GB, in the same time.
    """
    with suppress(OSError, AttributeError, TypeError):  # other systems have no such function
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
