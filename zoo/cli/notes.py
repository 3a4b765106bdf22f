"""What the library warns of while a verb runs, as the notes of its result.

In: warnings of samzoo's loggers. Out: lines that stand on stderr and, with ``--json``, in the
answer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Collector(logging.Handler):
    def __init__(self, notes: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._notes = notes

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self._notes:
            self._notes.append(message)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect the messages of warnings inside a block, each once, instead of printing them."""
    logger = logging.getLogger("samzoo")
    notes: list[str] = []
    collector, propagated = _Collector(notes), logger.propagate
    logger.addHandler(collector)
    logger.propagate = False
    try:
        yield notes
    finally:
        logger.removeHandler(collector)
        logger.propagate = propagated
