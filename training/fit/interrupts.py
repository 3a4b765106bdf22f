"""Interrupts between steps instead of inside of them, so that what is saved is a whole step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what a batch system sends when time is over."""


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Deliver ``SIGNALS`` when the block is done; they are lost if the block raises an error.

    Without effect outside of the main thread, which never gets signals, and on a signal that the
    program ignores, leaves to the system or handles outside of Python.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    found = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in found.items() if callable(handler)}
    held: list[tuple[int, FrameType | None]] = []
    for number in handlers:
        signal.signal(number, lambda caught, frame: held.append((caught, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if held:
        caught, frame = held[0]
        handlers[signal.Signals(caught)](caught, frame)
