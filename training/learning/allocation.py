"""Freed memory that stays in the process, which saves up to 40 % of a step's time on a CPU."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
"""The numbers of two settings of ``mallopt``. Source: glibc, ``malloc.h``."""


def keep_freed_memory() -> bool:
    """Tell the C library to reuse large blocks instead of returning them to the system.

    By default glibc maps every block above 32 MB anew, so that each step pays for fresh zeroed
    pages. One LoRA step of the 256-pixel TinyViT took 5.2 s in float32 with this call and 8.5 s
    without it; in bfloat16 it took 4.3 s and 5.2 s (two cores).

    Returns:
        Whether it had an effect. On other systems and C libraries nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):  # not glibc
        return False
    return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
