"""The main path for images of any size: limits, maps, seeds, numbers, objects, output.

In: a ``SourceSpec``, a ``ModelSpec`` and an output path. Out: a label image, and a table of the
objects where asked for. Called by the ``segment`` verb.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.automatic.maps import require_ais
from samzoo.runtime.engine.encoding import choose_placements
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import AisParameters, ModelConfig, to_json
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.label_table import LabelTable
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.model import Model
from samzoo.runtime.pieces.context import Context, Job, ModelSpec, open_context
from samzoo.runtime.pieces.maps_step import STEP as MAPS
from samzoo.runtime.pieces.numbering import SEEDS, number_seeds
from samzoo.runtime.pieces.object_steps import OBJECTS
from samzoo.runtime.pieces.plan import BLOCK, MARGIN
from samzoo.runtime.pieces.result import Result
from samzoo.runtime.pieces.steps import Executor, ThisProcess
from samzoo.runtime.pieces.work import WorkFolder
from samzoo.runtime.windows.label_tiff import write_label_tiff
from samzoo.runtime.windows.label_zarr import attached_image, check_zarr_output, write_label_zarr
from samzoo.runtime.windows.limits import Limits, image_limits
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.source import ImageSource, SourceSpec, identity

from .overlay import reduced

LIMITS = "limits"
"""The piece with the image's limits."""

WORK_VERSION = 1
"""Of the work folder's files."""


@dataclass(frozen=True)
class Request:
    """What to segment and how.

    Attributes:
        source: Which image.
        model: Which model.
        output: A TIFF, or an OME-Zarr as ``label_zarr.py`` says.
        tile_shape: (height, width) of the model's tiles; by default as few as cover the image.
        halo: (height, width) around each tile.
        placements: Of the tiles on the image; the maps are averaged over them.
        parameters: Of AIS; the model's own by default.
        table: A CSV file with a row an object.
        overlay: A PNG of the labels on the image, reduced where it is large.
        force: Replace outputs, and throw away what other work left in the work folder.
        executor: Does the work.
        block: Side of the blocks in which objects are found, a multiple of 16.
        margin: Pixels around a block that are seen with it.
    """

    source: SourceSpec
    model: ModelSpec
    output: Path
    tile_shape: Size | None = None
    halo: Size | None = None
    placements: int = 1
    parameters: AisParameters | None = None
    table: Path | None = None
    overlay: Path | None = None
    force: bool = False
    executor: Executor = field(default_factory=ThisProcess)
    block: int = BLOCK
    margin: int = MARGIN

    @property
    def work(self) -> Path:
        """The work folder: beside the output, or beside the Zarr that the output goes into."""
        image = attached_image(self.output)
        if image is not None:
            return image.with_name(f"{image.name}.{self.output.name}.partial")
        return self.output.with_name(f"{self.output.name}.partial")


def segment_large(
    request: Request, progress: Progress | None = None, model: Model | None = None
) -> dict[str, Any]:
    """Segment an image of any size; go on where an earlier run of the same was interrupted.

    Args:
        request: What to do; outputs have been checked.
        progress: Called with stage, done and total.
        model: The request's model, where it is open already.

    Returns:
        ``objects``, ``size``, ``resumed``, and ``notes`` on the image.

    Raises:
        SamzooError: The image cannot be read, the model has no AIS decoder, the work folder is of
            other work, a disk is full, or the cluster is lost. What was done stays for the next
            run; the output is not there.
    """
    work = WorkFolder(request.work)
    model = request.model.open() if model is None else model
    require_ais(model.config)
    with closing(open_source(request.source)) as source:
        return _segment(request, model, source, work, progress)


def _segment(
    request: Request,
    model: Model,
    source: ImageSource,
    work: WorkFolder,
    progress: Progress | None,
) -> dict[str, Any]:
    choose_placements(  # they must fit
        model.config, source.size, request.tile_shape, request.halo, request.placements
    )
    state = base_state(request, source, model.config)
    resumed = work.start(state, force=request.force)
    job = Job(
        source=request.source,
        source_state=state["source_state"],
        limits=_limits(work, source, model.config, progress),
        model=request.model,
        ais=request.parameters or model.config.ais,
        work=str(request.work.resolve()),
        tile_shape=request.tile_shape,
        halo=request.halo,
        placements=request.placements,
        block=request.block,
        margin=request.margin,
    )
    context = open_context(job, model, source)
    if not job.limits.constant:
        run_step(context, MAPS, len(context.plan.units), request.executor, progress)
    _finish_objects(context, request.executor, progress)
    context.check_unchanged()
    result = Result(context.plan, work)
    _write(request, result, progress)
    if request.table is not None:
        table = LabelTable(result.size)
        for band in result.bands():
            table.add(band)
        table.write(request.table)
    if request.overlay is not None:
        write_overlay(request.overlay, *reduced(source, result))
    work.remove()
    return {
        "objects": result.count,
        "size": list(result.size),
        "resumed": resumed,
        "notes": source.notes,
    }


def _finish_objects(context: Context, executor: Executor, progress: Progress | None) -> None:
    plan = context.plan
    run_step(context, SEEDS, plan.blocks, executor, progress)
    number_seeds(plan, context.work, progress)
    run_step(context, OBJECTS, plan.blocks, executor, progress)


def run_step(
    context: Context, step: str, count: int, executor: Executor, progress: Progress | None
) -> None:
    """Do the pieces of a step that are not there.

    Args:
        context: Of the work.
        step: A name of ``STEPS``.
        count: Pieces in all.
        executor: Does them.
        progress: Called with (step, pieces done, pieces in all).
    """
    missing = context.work.missing(step, count)
    done = count - len(missing)

    def report() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(step, done, count)

    if progress is not None and missing:
        progress(step, done, count)
    executor.run(context, step, missing, report)


def base_state(request: Request, source: ImageSource, config: ModelConfig) -> dict[str, Any]:
    """Return what the pieces of any request depend on, as JSON gives it back."""
    return {
        "version": WORK_VERSION,
        "source": asdict(request.source),
        "source_state": identity(request.source.path),
        "size": list(source.size),
        "weights_digest": config.weights_digest,
        "preprocessing": to_json(config.preprocessing),
        "ais": asdict(request.parameters or config.ais),
        "tile_shape": None if request.tile_shape is None else list(request.tile_shape),
        "halo": None if request.halo is None else list(request.halo),
        "placements": request.placements,
        "block": [request.block, request.margin],
    }


def _limits(
    work: WorkFolder, source: ImageSource, config: ModelConfig, progress: Progress | None
) -> Limits:
    """The limits of the image's intensities, those of the earlier run where there was one."""
    if not work.has(LIMITS, 0):
        found = image_limits(source, config.preprocessing, progress)
        values = np.array([found.low, found.high, found.constant], np.float64)
        work.write(LIMITS, 0, {"limits": values})
    low, high, constant = work.read(LIMITS, 0)["limits"].tolist()
    return Limits(low, high, bool(constant))


def _write(request: Request, result: Result, progress: Progress | None) -> None:
    if request.output.suffix.lower() in TIFF_SUFFIXES:
        write_label_tiff(request.output, result, progress)
    else:
        write_label_zarr(request.output, result, request.source, progress, force=request.force)


def check_request(request: Request) -> None:
    """Refuse an output that nothing large can be written to, before any work is done.

    Raises:
        InputError: Its suffix is none of those, or it is of another image.
        OutputExistsError: It is there, and ``force`` is false.
    """
    output, suffix = request.output, request.output.suffix.lower()
    if suffix in TIFF_SUFFIXES:
        check_output(output, force=request.force, inputs=[Path(request.source.path)])
    elif suffix == ".zarr" or attached_image(output) is not None:
        check_zarr_output(output, request.source, force=request.force)
    else:
        raise InputError(
            f"{output}: labels of a large image are written as .tif, as .zarr, or into an image as "
            "IMAGE.zarr/labels/NAME"
        )
