"""What every step works with, and how another process makes the same from a description.

In: a ``Job``, plain values. Out: a ``Context`` with the model and the image opened. Called by
``segment.py`` and, on a cluster, once in each worker.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from samzoo.runtime.engine.encoding import choose_placements
from samzoo.runtime.engine.providers import CPU
from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.loading import load
from samzoo.runtime.model import Model
from samzoo.runtime.windows.limits import Limits
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.source import ImageSource, SourceSpec, identity

from .plan import BLOCK, MARGIN, Plan
from .work import WorkFolder


@dataclass(frozen=True)
class ModelSpec:
    """Which model; enough to open it in another process.

    Attributes:
        package: Its folder.
        base: Of a package of adapters alone.
        adapter: Of a package with several; None: the first.
        threads: Of one operator; None: all cores.
        provider: Where it runs.
    """

    package: str
    base: str | None = None
    adapter: str | None = None
    threads: int | None = None
    provider: str = CPU

    def open(self) -> Model:
        """Open it.

        Raises:
            SamzooError: As ``runtime.load``.
        """
        model = load(self.package, base=self.base, threads=self.threads, provider=self.provider)
        if self.adapter is not None:
            model.use(self.adapter)
        return model


@dataclass(frozen=True)
class Job:
    """A large image to be segmented.

    Attributes:
        source: Which image.
        source_state: Of its file, as ``identity`` tells it.
        limits: Of its intensities.
        model: Which model.
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
    model: ModelSpec
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


def open_context(
    job: Job, model: Model | None = None, source: ImageSource | None = None
) -> Context:
    """Open a job's image and model.

    Args:
        job: What to do.
        model: The model, where it is open already.
        source: The image, likewise.

    Raises:
        SamzooError: One of them cannot be opened.
        ShapeError: A tile with its halo does not fit the model's field of view.
    """
    model = job.model.open() if model is None else model
    source = open_source(job.source) if source is None else source
    found = choose_placements(model.config, source.size, job.tile_shape, job.halo, job.placements)
    plan = Plan(source.size, tuple(map(tuple, found)), job.ais, job.block, job.margin)
    return Context(job, model, source, plan, WorkFolder(Path(job.work)))


@lru_cache(maxsize=1)
def worker_context(job: Job) -> Context:
    """Open a job once in a process that does many of its pieces."""
    return open_context(job)
