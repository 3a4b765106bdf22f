"""The main path for images of any size: limits, maps, seeds, numbers, objects, output.

In: a ``Request`` for one image. Out: a label image and, if asked for, a table and an overlay.
"""

from __future__ import annotations

import dataclasses
import math
from contextlib import closing
from pathlib import Path

import numpy as np

from samzoo.runtime.automatic.maps import require_ais
from samzoo.runtime.engine.encoding import choose_placements
from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.label_table import LabelTable, intensity_names
from samzoo.runtime.images.label_tags import PixelSizes, micrometres
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.overlay_marks import Marks
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.outlines.geojson import ONLY
from samzoo.runtime.outlines.rings import Tracing
from samzoo.runtime.outlines.writing import check_roi_size, outline_path, write_outlines
from samzoo.runtime.pieces.context import Context, Job, open_context
from samzoo.runtime.pieces.maps_step import STEP as MAPS
from samzoo.runtime.pieces.numbering import SEEDS, number_seeds
from samzoo.runtime.pieces.object_steps import OBJECTS
from samzoo.runtime.pieces.reduction import LARGEST, reduced
from samzoo.runtime.pieces.request import Request, SegmentedFile, base_state, run_step
from samzoo.runtime.pieces.result import Result
from samzoo.runtime.pieces.size_piece import check_size, object_scale
from samzoo.runtime.pieces.steps import Executor
from samzoo.runtime.pieces.work import WorkFolder
from samzoo.runtime.windows.label_tiff import write_label_tiff
from samzoo.runtime.windows.label_zarr import write_label_zarr
from samzoo.runtime.windows.limits import Limits, image_limits
from samzoo.runtime.windows.opening import open_full_channels
from samzoo.runtime.windows.pixel_size import pixel_sizes
from samzoo.runtime.windows.source import ImageSource

LIMITS = "limits"
"""Name of the piece with the image's limits."""


def segment_large(request: Request, progress: Progress | None = None) -> SegmentedFile:
    """Segment an image of any size; continue where an earlier run was interrupted.

    Args:
        request: The image, outputs and options; the outputs have been checked.
        progress: Called with stage, done and total.

    Returns:
        The result.

    Raises:
        SamzooError: The image cannot be read, the model has no AIS decoder, the work folder
            belongs to other work, a disk is full, or the cluster is lost. Finished pieces stay for
            the next run; there is no output.
    """
    work = WorkFolder(request.work)
    require_ais(request.model.config)
    spec, opened = open_full_channels(request.source)
    with closing(opened) as source:
        return _segment(dataclasses.replace(request, source=spec), source, work, progress)


def _segment(
    request: Request, source: ImageSource, work: WorkFolder, progress: Progress | None
) -> SegmentedFile:
    check_size(request, source.size)
    if "imagej" in request.outlines:
        check_roi_size(source.size, request.source.path)
    state = base_state(request, source)
    if request.diameter != "auto":
        _check_tiles(request, source)
    resumed = work.start(state, force=request.force)
    limits = _limits(work, source, request.model.config, progress)
    scale = object_scale(request, work, source, limits, progress)
    request = request.at(scale)
    _check_tiles(request, source)
    job = Job(
        source=request.source,
        source_state=state["source_state"],
        limits=limits,
        model=request.worker_model,
        ais=request.ais,
        work=str(request.work.resolve()),
        tile_shape=request.tile_shape,
        halo=request.halo,
        placements=request.placements,
        average=request.average,
        block=request.block,
        margin=request.margin,
    )
    context = open_context(job, request.model, source)
    if not job.limits.constant:
        run_step(context, MAPS, len(context.plan.units), request.executor, progress)
    _finish_objects(context, request.executor, progress)
    context.check_unchanged()
    result = Result(context.plan, work)
    sizes = pixel_sizes(request.source)
    _write(request, result, scale, sizes, progress)
    _write_objects(request, result, source, scale, sizes)
    if request.overlay is not None:
        image, labels = reduced(source, result)
        x = micrometres(sizes).get("x")
        if x is not None:  # the last column may stand for fewer pixels
            x *= -(-max(source.size) // LARGEST)
        write_overlay(
            request.overlay, image, labels, filled=request.overlay_style != "outlines",
            marks=Marks(objects=result.count, micrometres=x),
        )  # fmt: skip
    work.remove()
    return SegmentedFile(
        request.output, result.count, result.size, in_pieces=True, resumed=resumed,
        notes=(*source.notes, *([scale.doubt] if scale.doubt else [])), scale=scale,
    )  # fmt: skip


def _write_objects(
    request: Request, result: Result, source: ImageSource, scale: ObjectScale, sizes: PixelSizes
) -> None:
    """Write the table and the outlines, in one pass over the labels."""
    if request.table is None and not request.outlines:
        return
    name, width = Path(request.source.path).name, result.size[1]
    table = LabelTable(
        result.size, facts={"image": name, **scale.facts()}, sizes=sizes,
        channels=intensity_names(source.channels),
    )  # fmt: skip
    tracing, row = Tracing(width), 0
    for band in result.bands():
        table.add(band, source.read((row, 0, row + len(band), width)))
        row += len(band)
        if request.outlines:
            tracing.add(band)
    if request.table is not None:
        table.write(request.table)
    if request.outlines:
        traced = [(ONLY, list(tracing.outlines()))]
        measured = {(ONLY, label): known for label, known in table.measurements().items()}
        for form in request.outlines:
            write_outlines(
                outline_path(request.output, form), form, traced,
                image=name, measured=measured,
            )  # fmt: skip


def _check_tiles(request: Request, source: ImageSource) -> None:
    """Refuse tiles that do not fit the model's field of view."""
    choose_placements(
        request.model.config, source.size, request.tile_shape, request.halo, request.placements
    )


def _finish_objects(context: Context, executor: Executor, progress: Progress | None) -> None:
    plan = context.plan
    run_step(context, SEEDS, plan.blocks, executor, progress)
    number_seeds(plan, context.work, progress)
    run_step(context, OBJECTS, plan.blocks, executor, progress)


def _limits(
    work: WorkFolder, source: ImageSource, config: ModelConfig, progress: Progress | None
) -> Limits:
    """Return the limits of the image's intensities, from the earlier run if there was one."""
    if not work.has(LIMITS, 0):
        found = image_limits(source, config.preprocessing, progress)
        outliers = np.inf if found.outliers is None else found.outliers
        values = np.array(
            [found.low, found.high, found.constant, outliers, found.border], np.float64
        )
        work.write(LIMITS, 0, {"limits": values})
    low, high, constant, outliers, border = work.read(LIMITS, 0)["limits"].tolist()
    start = None if math.isinf(outliers) else outliers
    return Limits(low, high, bool(constant), start, bool(border))


def _write(
    request: Request,
    result: Result,
    scale: ObjectScale,
    sizes: PixelSizes,
    progress: Progress | None,
) -> None:
    facts = scale.facts()
    if request.output.suffix.lower() in TIFF_SUFFIXES:
        write_label_tiff(request.output, result, progress, facts=facts, sizes=sizes)
    else:
        write_label_zarr(
            request.output, result, request.source, progress, force=request.force, facts=facts
        )
