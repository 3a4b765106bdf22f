"""A lock between processes, by the library filelock, which ends with the process that holds it.

The operating system holds it on an open file, so a killed process leaves no stuck lock. The empty
file may stay. On a disk without such locks filelock warns and takes a softer one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from samzoo.runtime.errors import StorageError

PAUSE = 0.1
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
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            waiting()
            lock.acquire(poll_interval=PAUSE)
    except (OSError, NotImplementedError) as error:  # the latter: a disk without locks
        reason = getattr(error, "strerror", None) or error
        raise StorageError(f"{path}: cannot be locked ({reason})") from error
    try:
        yield
    finally:
        lock.release()
