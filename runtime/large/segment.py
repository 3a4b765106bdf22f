"""The main path for images of any size: limits, maps, seeds, numbers, objects, output.

In: a ``SourceSpec``, a ``ModelSpec`` and an output path. Out: a label image, and a table of the
objects where asked for. Called by the ``segment`` verb.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from samzoo.runtime.arrays import Progress
from samzoo.runtime.config import AisParameters, ModelConfig, to_json
from samzoo.runtime.errors import InputError
from samzoo.runtime.geometry import Size
from samzoo.runtime.label_table import LabelTable
from samzoo.runtime.maps import require_ais
from samzoo.runtime.model import Model
from samzoo.runtime.outputs import check_output

from .context import Context, Job, ModelSpec, open_context
from .label_tiff import write_label_tiff
from .label_zarr import attached_image, check_zarr_output, write_label_zarr
from .limits import Limits, image_limits
from .maps_step import STEP as MAPS
from .numbering import SEEDS, number_seeds
from .object_steps import OBJECTS
from .open_source import open_source
from .plan import BLOCK, MARGIN
from .result import Result
from .source import ImageSource, SourceSpec, identity
from .steps import Executor, ThisProcess
from .work import WorkFolder

TIFF_SUFFIXES = (".tif", ".tiff")

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
        parameters: Of AIS; the model's own by default.
        table: A CSV file with a row an object.
        force: Replace outputs and begin anew.
        executor: Does the work.
        block: Side of the blocks in which objects are found, a multiple of 16.
        margin: Pixels around a block that are seen with it.
    """

    source: SourceSpec
    model: ModelSpec
    output: Path
    tile_shape: Size | None = None
    halo: Size | None = None
    parameters: AisParameters | None = None
    table: Path | None = None
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


def segment_large(request: Request, progress: Progress | None = None) -> dict[str, Any]:
    """Segment an image of any size; go on where an earlier run of the same was interrupted.

    Args:
        request: What to do; outputs have been checked.
        progress: Called with stage, done and total.

    Returns:
        ``objects``, ``size``, ``resumed``, and ``notes`` on the image.

    Raises:
        SamzooError: The image cannot be read, the model has no AIS decoder, the work folder is of
            other work, a disk is full, or the cluster is lost. What was done stays for the next
            run; the output is not there.
    """
    work = WorkFolder(request.work)
    if request.force:
        work.remove()
    model = request.model.open()
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
    state, resumed = _state(request, source, model.config, work, progress)
    job = Job(
        source=request.source,
        source_state=state["source_state"],
        limits=Limits(**state["limits"]),
        model=request.model,
        ais=request.parameters or model.config.ais,
        work=str(request.work.resolve()),
        tile_shape=request.tile_shape,
        halo=request.halo,
        block=request.block,
        margin=request.margin,
    )
    context = open_context(job, model, source)
    if not job.limits.constant:
        _run(context, MAPS, len(context.plan.units), request.executor, progress)
    _finish_objects(context, request.executor, progress)
    context.check_unchanged()
    result = Result(context.plan, work)
    table = LabelTable(result.size) if request.table is not None else None
    _write(request, result, source, progress)
    if table is not None and request.table is not None:
        for band in result.bands():
            table.add(band)
        table.write(request.table)
    work.remove()
    return {
        "objects": result.count,
        "size": list(result.size),
        "resumed": resumed,
        "notes": source.notes,
    }


def _finish_objects(context: Context, executor: Executor, progress: Progress | None) -> None:
    plan = context.plan
    _run(context, SEEDS, plan.blocks, executor, progress)
    number_seeds(plan, context.work, progress)
    _run(context, OBJECTS, plan.blocks, executor, progress)


def _run(
    context: Context, step: str, count: int, executor: Executor, progress: Progress | None
) -> None:
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


def _state(
    request: Request,
    source: ImageSource,
    config: ModelConfig,
    work: WorkFolder,
    progress: Progress | None,
) -> tuple[dict[str, Any], bool]:
    """Everything that the pieces depend on; the limits are those of the earlier run."""
    state: dict[str, Any] = {
        "version": WORK_VERSION,
        "source": asdict(request.source),
        "source_state": identity(request.source.path),
        "size": list(source.size),
        "weights_digest": config.weights_digest,
        "preprocessing": to_json(config.preprocessing),
        "ais": asdict(request.parameters or config.ais),
        "tile_shape": None if request.tile_shape is None else list(request.tile_shape),
        "halo": None if request.halo is None else list(request.halo),
        "block": [request.block, request.margin],
    }
    before = work.state()
    if before is None:
        limits = image_limits(source, config.preprocessing, progress)
    else:
        limits = Limits(**before["limits"])
    state["limits"] = asdict(limits)
    return state, work.start(state)


def _write(
    request: Request, result: Result, source: ImageSource, progress: Progress | None
) -> None:
    if request.output.suffix.lower() in TIFF_SUFFIXES:
        write_label_tiff(request.output, result, progress)
    else:
        write_label_zarr(
            request.output, result, source, request.source, progress, force=request.force
        )


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
