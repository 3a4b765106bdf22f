"""Ctrl-C between steps instead of inside of them, so that what is saved is a whole step.

Called by ``fit.py`` and ``average.py``.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Deliver SIGINT when the block is done; it is lost if the block raises an error itself.

    Without effect outside of the main thread, which never gets signals, and where the program
    ignores SIGINT or handles it outside of Python.
    """
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(handler):
        yield
        return
    held: list[FrameType | None] = []
    signal.signal(signal.SIGINT, lambda _, frame: held.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
    if held:
        handler(signal.SIGINT, held[0])
