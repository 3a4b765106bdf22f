"""The context of every step, and the job from which another process makes the same context.

In: a ``Job``, plain values. Out: a ``Context`` with the model and the image opened, once in each
process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from samzoo.runtime.engine.encoding import choose_placements
from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.loading import open_model
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec, identity
from samzoo.runtime.windows.limits import Limits
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.source import ImageSource

from .plan import BLOCK, MARGIN, Plan
from .work import WorkFolder

NO_PACKAGE = (
    "workers open the model themselves, and this one was not opened from a package folder; use "
    "samzoo.runtime.load, or leave out workers and scheduler"
)


@dataclass(frozen=True)
class Job:
    """A large image to be segmented, in plain values.

    Attributes:
        source: The image.
        source_state: The state of its file, from ``identity``.
        limits: The limits of its intensities.
        model: How a worker opens the model; None if only this process has it.
        ais: Smoothings and thresholds.
        work: The work folder.
        tile_shape: (height, width) of the model's tiles.
        halo: (height, width) of the context around the tiles.
        placements: Number of placements of the tiles.
        average: Number of orientations of each tile.
        block: Side of a block of pixels, see ``plan.py``.
        margin: Pixels around a block, see ``plan.py``.
    """

    source: SourceSpec
    source_state: str
    limits: Limits
    model: ModelSpec | None
    ais: AisParameters
    work: str
    tile_shape: Size | None = None
    halo: Size | None = None
    placements: int = 1
    average: int = 1
    block: int = BLOCK
    margin: int = MARGIN


@dataclass(frozen=True)
class Context:
    """An opened job: with the model, the image and the plan of the work."""

    job: Job
    model: Model
    source: ImageSource
    plan: Plan
    work: WorkFolder

    @property
    def limits(self) -> Limits:
        """The limits of the image's intensities."""
        return self.job.limits

    def check_unchanged(self) -> None:
        """Refuse to continue with a file that has changed since the start.

        Raises:
            ImageError: The file has changed.
        """
        if identity(self.job.source.path) != self.job.source_state:
            raise ImageError(
                f"{self.job.source.path}: changed while it was read; wait until it is "
                "complete, then run the command again with --force"
            )


def open_context(job: Job, model: Model, source: ImageSource) -> Context:
    """Plan a job whose model and image are open.

    Args:
        job: The job.
        model: The model.
        source: The image.

    Raises:
        ShapeError: A tile with its halo does not fit the model's field of view.
    """
    found = choose_placements(model.config, source.size, job.tile_shape, job.halo, job.placements)
    plan = Plan(source.size, tuple(map(tuple, found)), job.ais, job.block, job.margin)
    return Context(job, model, source, plan, WorkFolder(Path(job.work)))


@lru_cache(maxsize=1)
def worker_context(job: Job) -> Context:
    """Open a job, once in each process.

    Raises:
        InputError: The model was not opened from a package folder.
        SamzooError: The model or the image cannot be opened.
    """
    if job.model is None:
        raise InputError(NO_PACKAGE)
    return open_context(job, open_model(job.model), open_source(job.source))
