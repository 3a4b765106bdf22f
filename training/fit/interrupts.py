"""Interrupts held back until a step ends, so that a whole step is saved."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and the signal that a batch system sends when time is over."""


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Deliver ``SIGNALS`` when the block ends; they are lost if the block raises an error.

    There is no effect outside the main thread, where signals never arrive, nor on a signal that
    the program ignores, leaves to the system or handles outside Python.
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
