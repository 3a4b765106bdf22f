"""The steps by name, and the executors that do their pieces: this process, or a cluster.

In: a step's name and the numbers of its pieces. Out: the pieces in the work folder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from .context import Context, Job, worker_context
from .maps_step import STEP as MAPS
from .maps_step import compute_maps
from .numbering import SEEDS
from .object_steps import OBJECTS, compute_objects, compute_seeds
from .plane_step import STEP as PLANES
from .plane_step import compute_plane

STEPS: dict[str, Callable[[Context, int], None]] = {
    MAPS: compute_maps,
    SEEDS: compute_seeds,
    OBJECTS: compute_objects,
    PLANES: compute_plane,
}


class Executor(Protocol):
    """Does the pieces of a step, in any order."""

    def run(
        self, context: Context, step: str, pieces: Sequence[int], done: Callable[[], None]
    ) -> None:
        """Do the pieces, and return when all are done; ``done`` is called after each."""


class ThisProcess:
    """Does one piece after the other in this process."""

    def run(
        self, context: Context, step: str, pieces: Sequence[int], done: Callable[[], None]
    ) -> None:
        """See ``Executor``."""
        for index in pieces:
            STEPS[step](context, index)
            done()


def do_piece(job: Job, step: str, index: int) -> int:
    """Do a piece in a worker, which opens the job at its first piece.

    Returns:
        The piece's number.
    """
    context = worker_context(job)
    if not context.work.has(step, index):  # else a worker finished it and was then lost
        STEPS[step](context, index)
    return index
