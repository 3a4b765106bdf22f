"""The segmentation of a file of any size: whole if it is small, else in pieces or by planes.

In: a model, an image file and an output. Out: a label image and, if asked for, an overlay and a
table.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from samzoo.runtime.automatic.doubts import NO_OBJECT, image_doubts
from samzoo.runtime.automatic.modes import Mode, Parameters
from samzoo.runtime.engine.encoding import unused_tiling
from samzoo.runtime.engine.model_spec import ModelSpec
from samzoo.runtime.engine.object_scale import Diameter, check_diameter
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import is_constant
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.images.overlay import OverlayStyle
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.model import Model
from samzoo.runtime.outlines.writing import OutlineFormat
from samzoo.runtime.pieces.cluster import connected, local
from samzoo.runtime.pieces.context import NO_PACKAGE
from samzoo.runtime.pieces.request import Request, SegmentedFile
from samzoo.runtime.pieces.steps import Executor, ThisProcess
from samzoo.runtime.volumes.stack import Kind, StackOptions, segment_stack
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.pixel_size import pixel_sizes

from .file_task import FileTask
from .image_outputs import check_image_outputs, count_objects, write_image_outputs
from .large_image import segment_large


def segment_file(
    model: Model,
    path: str | Path,
    output: str | Path,
    *,
    overlay: str | Path | None = None,
    overlay_style: OverlayStyle = "filled",
    table: str | Path | None = None,
    outlines: Sequence[OutlineFormat] = (),
    diameter: Diameter = None,
    mode: Mode = "ais",
    parameters: Parameters | None = None,
    thresholds: Mapping[str, Any] | None = None,
    tile_shape: Size | None = None,
    halo: Size | None = None,
    placements: int = 1,
    average: int = 1,
    level: int | None = None,
    series: int | None = None,
    channel: int | str | None = None,
    plane: int | None = None,
    stack: Kind | None = None,
    gap_closing: int | None = None,
    min_z_extent: int | None = None,
    workers: int | None = None,
    scheduler: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> SegmentedFile:
    """Segment all objects in an image file of any size, or in a stack.

    A small image is read and segmented whole. A TIFF of more than 4096 x 4096 pixels, a Zarr, and
    a file with ``stack``, ``workers`` or ``scheduler`` are segmented in pieces. Then memory
    stays constant, the same call continues after an interruption, and the labels equal those of the
    whole image. See ``docs/large.md``.

    Args:
        model: From ``load``; its adapter in use segments the whole file.
        path: An image file as in ``read_image``, or an OME-Zarr folder.
        output: Path of the labels: ``.tif``, ``.png`` (images segmented whole), a new
            ``NAME.zarr``, or ``IMAGE.zarr/labels/NAME`` for the image ``IMAGE.zarr``.
        overlay: A PNG file for the labels drawn on the image.
        overlay_style: ``filled`` colours objects, ``outlines`` draws their contours only.
        table: A CSV file with a row for each object: area, place, number of objects that it
            touches.
        outlines: ``imagej`` for a zip file of ROIs, ``geojson`` for a file that QuPath opens; they
            are written beside the labels, as ``LABELS_rois.zip`` and ``LABELS.geojson``.
        diameter: As in ``Model.segment``. A stack has one estimate, from its middle plane.
        mode: As in ``Model.segment``; images in pieces need ``ais``.
        parameters: As in ``Model.segment``.
        thresholds: Fields of the mode's parameters to replace, such as ``min_size``; the others
            are the model's own at the scale that is used. Only without ``parameters``.
        tile_shape: (height, width) of the model's tiles; by default as few as cover the image.
        halo: (height, width) of least context around each tile.
        placements: How often the tiles are laid on the image, 1 to 16; their maps are averaged.
        average: As in ``Model.segment``.
        level: Which level of a pyramid; 0 is full size.
        series: Which image of a TIFF with several.
        channel: Which channel: its number, its name in the file, or ``red``, ``green``, ``blue``.
        plane: Which plane of a stack.
        stack: Segment all planes: ``volume`` joins objects over slices, ``frames`` numbers each
            plane's objects on their own.
        gap_closing: In a volume, close holes of up to twice as many slices.
        min_z_extent: In a volume, drop objects in fewer slices.
        workers: Processes of this machine that share the work.
        scheduler: Address of a Dask cluster that shares the work, ``tcp://HOST:PORT``.
        force: Replace outputs, and delete the work folder of other work.
        progress: Called with stage, done and total.

    Returns:
        The path of the labels, the number of objects, the size, whether the file was segmented in
        pieces, whether an interrupted call was resumed, and notes on the image.

    Raises:
        InputError: Options exclude each other, an output exists or has a name that cannot be
            written, or the mode needs an AIS decoder and the model has none.
        NotFoundError: There is no such file.
        ImageError: The file is damaged, not an image, or changed while it was read.
        ShapeError: A tile with its halo does not fit the model's field of view.
        MissingDependencyError: Zarr, compressed slides and workers need the extra ``large``.
        StorageError: The disk is full, a folder cannot be written, or the cluster is lost.

    Example:
        >>> import numpy as np
        >>> from samzoo.zoo import load
        >>> model = load()  # the one that samzoo ships
        >>> rows, columns = np.mgrid[:96, :96]  # four discs, in a grid
        >>> discs = np.hypot(rows % 48 - 24, columns % 48 - 24) < 12
        >>> image = np.where(discs, 200, 20).astype(np.uint8)
        >>> import tifffile
        >>> tifffile.imwrite("cells.tif", image)
        >>> done = segment_file(model, "cells.tif", "labels.tif", table="cells.csv")
        >>> done.objects, done.size, done.in_pieces
        (4, (96, 96), False)
    """
    task = FileTask(
        path=Path(path),
        output=Path(output),
        overlay=None if overlay is None else Path(overlay),
        overlay_style=overlay_style,
        table=None if table is None else Path(table),
        outlines=tuple(outlines),
        diameter=diameter,
        mode=mode,
        parameters=parameters,
        thresholds=thresholds,
        tile_shape=tile_shape,
        halo=halo,
        placements=placements,
        average=average,
        level=level,
        series=series,
        channel=channel,
        plane=plane,
        stack=stack,
        gap_closing=gap_closing,
        min_z_extent=min_z_extent,
        workers=workers,
        scheduler=scheduler,
        force=force,
    )
    task.check()
    return run_task(model, task, progress=progress)


def run_task(model: Model, task: FileTask, *, progress: Progress | None = None) -> SegmentedFile:
    """Segment the file of a checked task.

    Args:
        model: As in ``segment_file``.
        task: The file, its outputs and options.
        progress: Called with stage, done and total.

    Returns:
        As ``segment_file``.

    Raises:
        SamzooError: As ``segment_file``.
    """
    model = model.snapshot()
    check_diameter(model.config, task.diameter)
    if task.diameter is None:
        task = dataclasses.replace(task, diameter=model.diameter or "own")
    return (_in_pieces if task.in_pieces else _whole)(model, task, progress)


def _whole(model: Model, task: FileTask, progress: Progress | None) -> SegmentedFile:
    with closing(open_source(task.source)) as source:
        image, notes = source.whole(), list(source.notes)
    check_image_outputs(task, image)
    scale = model.object_scale(image, task.diameter, progress=progress)
    notes += [scale.doubt] if scale.doubt else []
    model = model.for_objects(scale.changed)
    labels = model.segment(
        image,
        tile_shape=task.tile_shape,
        halo=task.halo,
        placements=task.placements,
        average=task.average,
        mode=task.mode,
        parameters=task.parameters_for(model.config.ais),
        progress=progress,
        notes=notes,
    )
    sizes, objects = pixel_sizes(task.source), count_objects(labels)
    write_labels(task.output, labels, facts=scale.facts(), sizes=sizes)
    write_image_outputs(task, image, labels, scale.facts(), sizes=sizes, objects=objects)
    size = (labels.shape[0], labels.shape[1])
    return SegmentedFile(
        task.output, objects, size, in_pieces=False, notes=tuple(notes), scale=scale
    )


def _in_pieces(model: Model, task: FileTask, progress: Progress | None) -> SegmentedFile:
    task.parameters_for(model.config.ais)  # they are of the mode
    assert task.parameters is None or isinstance(task.parameters, AisParameters)
    with _executor(model, task) as executor:
        request = Request(
            task.source,
            model,
            task.output,
            tile_shape=task.tile_shape,
            halo=task.halo,
            placements=task.placements,
            average=task.average,
            diameter=task.diameter,
            parameters=task.parameters,
            thresholds=task.thresholds or {},
            table=task.table,
            overlay=task.overlay,
            overlay_style=task.overlay_style,
            outlines=task.outlines,
            force=task.force,
            executor=executor,
            workers_model=_workers_model(model, task),
        )
        if task.stack is None:
            found = segment_large(request, progress)
        else:
            options = StackOptions(task.stack, task.gap_closing or 0, task.min_z_extent or 0)
            found = segment_stack(request, options, progress)
    height, width = found.size[-2:]
    notes = [*found.notes, *_doubts(model, task)]
    used = model if found.scale is None else model.for_objects(found.scale.changed)
    notes += unused_tiling(
        used.config, (height, width), task.tile_shape, task.halo, task.placements
    )
    notes += [] if found.objects else [NO_OBJECT]
    return dataclasses.replace(found, notes=tuple(notes))


def _doubts(model: Model, task: FileTask) -> list[str]:
    """Say what is odd about an image that was segmented in pieces, or about a stack's middle."""
    spec = task.source
    if task.stack is not None:
        middle = math.prod(stack_shape(spec)[:-2]) // 2
        spec = dataclasses.replace(spec, plane=middle)
    with closing(open_source(spec)) as source:
        image, whole = source.sample()
    if is_constant(image) and (task.stack is not None or not whole):
        return []  # the rest may hold something
    return image_doubts(without_empty_channels(image), model.config)


@contextmanager
def _executor(model: Model, task: FileTask) -> Iterator[Executor]:
    if task.scheduler is None and task.workers is None:
        yield ThisProcess()
        return
    if model.spec is None:
        raise InputError(NO_PACKAGE)
    if task.scheduler is not None:
        with connected(task.scheduler) as cluster:
            yield cluster
    elif task.workers is not None:
        with local(task.workers) as cluster:
            yield cluster


def _workers_model(model: Model, task: FileTask) -> ModelSpec | None:
    """Return how workers open the model; those on this machine share its cores."""
    spec = model.spec
    if spec is None or spec.threads is not None or not task.workers:
        return spec
    threads = max(1, (os.cpu_count() or 1) // task.workers)
    return dataclasses.replace(spec, threads=threads)
