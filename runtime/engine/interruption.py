"""Runs of onnxruntime that can be stopped from another thread.

In: a run's options, while it runs. Out: nothing; ``stop_runs`` ends all runs of this process
between two of their nodes. Python sees a signal only when onnxruntime returns, and a large encoder
takes many seconds on a CPU.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_lock = threading.Lock()
_running: dict[int, Any] = {}


@contextmanager
def stoppable(options: Any) -> Iterator[None]:
    """Let ``stop_runs`` end the run of these ``RunOptions`` in the block."""
    with _lock:
        _running[id(options)] = options
    try:
        yield
    finally:
        with _lock:
            del _running[id(options)]


def stop_runs() -> None:
    """End all runs; each raises onnxruntime's own error in its thread."""
    with _lock:
        for options in _running.values():
            options.terminate = True
