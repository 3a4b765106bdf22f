"""What every step works with, and how another process makes the same from a description.

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
from samzoo.runtime.windows.limits import Limits
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.source import ImageSource, SourceSpec, identity

from .plan import BLOCK, MARGIN, Plan
from .work import WorkFolder

NO_PACKAGE = (
    "workers open the model themselves, and this one was not opened from a package folder; use "
    "samzoo.runtime.load, or leave out workers and scheduler"
)


@dataclass(frozen=True)
class Job:
    """A large image to be segmented.

    Attributes:
        source: Which image.
        source_state: Of its file, as ``identity`` tells it.
        limits: Of its intensities.
        model: How a worker opens the model; None where only this process has it.
        ais: Smoothings and thresholds.
        work: The work folder.
        tile_shape: Of the model's tiles.
        halo: Of the model's tiles.
        placements: Of the model's tiles.
        block: Side of a block of pixels, see ``plan.py``.
        margin: Around a block, likewise.
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
    block: int = BLOCK
    margin: int = MARGIN


@dataclass(frozen=True)
class Context:
    """A job, opened."""

    job: Job
    model: Model
    source: ImageSource
    plan: Plan
    work: WorkFolder

    @property
    def limits(self) -> Limits:
        """Of the image's intensities."""
        return self.job.limits

    def check_unchanged(self) -> None:
        """Refuse to go on with a file that is not what it was at the start.

        Raises:
            ImageError: It was changed.
        """
        if identity(self.job.source.path) != self.job.source_state:
            raise ImageError(
                f"{self.job.source.path}: was changed while it was read; wait until it is "
                "complete, then run the command again with --force"
            )


def open_context(job: Job, model: Model, source: ImageSource) -> Context:
    """Plan a job whose model and image are open.

    Args:
        job: What to do.
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
    """Open a job once in a process that does many of its pieces.

    Raises:
        InputError: The model was made in another process, not opened from a package.
        SamzooError: The model or the image cannot be opened.
    """
    if job.model is None:
        raise InputError(NO_PACKAGE)
    return open_context(job, open_model(job.model), open_source(job.source))
