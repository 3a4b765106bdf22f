"""A lock between processes that ends with the process that holds it. Called by ``cache.py``.

The operating system holds it on an open file, so a killed process leaves no stuck lock. The empty
file stays: deleting it would let two processes lock two files of the same name.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from samzoo.runtime.errors import StorageError

_PAUSE = 0.1
"""Seconds between two attempts; short beside a download, and an interrupt comes through."""


@contextmanager
def locked(path: Path, *, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock of a file while the block runs; waits for whoever has it.

    Args:
        path: The lock file, made if it is not there.
        waiting: Called once when another process has the lock.

    Raises:
        StorageError: The file cannot be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+b")
    except OSError as error:
        raise StorageError(f"{path}: cannot be locked ({error.strerror or error})") from error
    with file:
        told = False
        while not _try_lock(file):
            if not told:
                waiting()
                told = True
            time.sleep(_PAUSE)
        yield  # closing the file gives the lock back


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
