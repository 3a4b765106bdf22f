"""Stacks: each plane segmented on its own, and the objects of a volume joined over its slices.

In: a file with planes. Out: labels of all planes.
``slices.py`` says how this differs from micro-sam. Each plane is stretched by its own intensities.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing
from typing import Literal

import numpy as np

from samzoo.runtime.automatic.maps import require_ais
from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels3D, Progress
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.overlay_marks import Marks
from samzoo.runtime.outlines.writing import check_roi_size
from samzoo.runtime.pieces.context import Job, open_context
from samzoo.runtime.pieces.plane_step import STEP
from samzoo.runtime.pieces.request import Request, SegmentedFile, base_state, run_step
from samzoo.runtime.pieces.size_piece import check_size, object_scale
from samzoo.runtime.pieces.work import WorkFolder
from samzoo.runtime.pixels.source_spec import identity
from samzoo.runtime.windows.limits import Limits, image_limits
from samzoo.runtime.windows.opening import full_channel_of_stack, open_source

from .looks import contact_sheet, write_stack_objects
from .slices import merge_slices
from .writing import stack_axes, write_stack

MAX_STACK = 2**31
"""Most voxels of a stack; labels and their joining take about 30 bytes for each (own choice)."""

Kind = Literal["volume", "frames"]


@dataclasses.dataclass(frozen=True)
class StackOptions:
    """The options of a stack: how its planes belong together.

    Attributes:
        kind: With ``volume`` the last axis before rows counts slices, whose objects are joined.
            With ``frames`` each plane's objects are numbered on their own.
        gap_closing: As in ``merge_slices``.
        min_z_extent: As in ``merge_slices``.
    """

    kind: Kind
    gap_closing: int = 0
    min_z_extent: int = 0


def segment_stack(
    request: Request, options: StackOptions, progress: Progress | None = None
) -> SegmentedFile:
    """Segment all planes of a file; continue where an earlier run was interrupted.

    Args:
        request: The file, outputs and options; its source's plane is not used.
        options: How planes belong together.
        progress: Called with ("planes", done, total).

    Returns:
        The result, with the size of the stack.

    Raises:
        SamzooError: The file cannot be read, the model has no AIS decoder, the work folder belongs
            to other work, a disk is full, the cluster is lost, the stack has too many voxels, or a
            volume has no slices. Finished planes stay for the next run.
    """
    shape = stack_shape(request.source)
    if len(shape) < 3:
        raise InputError(
            f"{request.source.path}: --stack: found an image of {shape[0]} x {shape[1]} pixels, "
            "a stack needs several planes; leave out --stack"
        )
    if int(np.prod(shape)) > MAX_STACK:
        raise InputError(
            f"{request.source.path}: a stack of {shape}, allowed are {MAX_STACK} voxels; segment "
            "its planes one by one with --plane, or a smaller --level"
        )
    _check_outlines(request, shape)
    require_ais(request.model.config)
    spec, channel_notes = full_channel_of_stack(request.source, int(np.prod(shape[:-2])))
    request = dataclasses.replace(request, source=spec)
    work = WorkFolder(request.work)
    with closing(open_source(dataclasses.replace(request.source, plane=0))) as source:
        check_size(request, source.size)
        state = {**base_state(request, source), "stack": list(shape)}
        count = int(np.prod(shape[:-2]))
        resumed = work.start(state, force=request.force)
        scale = _object_scale(request, work, count, progress)
        request = request.at(scale)
        job = Job(
            source=dataclasses.replace(request.source, plane=0),
            source_state=identity(request.source.path),
            limits=Limits(0, 0, False),  # limits of one plane are not used
            model=request.worker_model,
            ais=request.ais,
            work=str(request.work.resolve()),
            tile_shape=request.tile_shape,
            halo=request.halo,
            placements=request.placements,
            average=request.average,
        )
        context = open_context(job, request.model, source)
        run_step(context, STEP, count, request.executor, progress)
        context.check_unchanged()
        planes = np.stack([work.read(STEP, index)["labels"] for index in range(count)])
        labels = _joined(planes.reshape(shape), options)
        write_stack(
            request.output, labels, request.source, frames=options.kind == "frames",
            force=request.force, facts=scale.facts(),
        )  # fmt: skip
        write_stack_objects(
            request, labels, stack_axes(labels.ndim - 2, frames=options.kind == "frames"),
            inner=_inner(options), facts=scale.facts(),
        )  # fmt: skip
        objects = _count(labels, options)
        if request.overlay is not None:
            image, drawn = contact_sheet(request.source, labels)
            marks = Marks(objects=objects)
            filled = request.overlay_style != "outlines"
            write_overlay(request.overlay, image, drawn, filled=filled, marks=marks)
        notes = (*source.notes, *(f"{request.source.path}: {note}" for note in channel_notes))
        notes += (scale.doubt,) if scale.doubt else ()
    work.remove()
    return SegmentedFile(
        request.output, objects, shape, in_pieces=True, resumed=resumed, notes=notes,
        scale=scale,
    )  # fmt: skip


def _count(labels: Labels3D, options: StackOptions) -> int:
    if options.kind == "frames" or labels.ndim > 3:
        return sum(len(np.unique(part[part > 0])) for part in _parts(labels, options))
    return int(labels.max(initial=0))


def _check_outlines(request: Request, shape: tuple[int, ...]) -> None:
    """Refuse outlines that cannot say where in the stack they are, before any work is done."""
    if "imagej" in request.outlines:
        check_roi_size(shape, request.source.path)
    if request.outlines and len(shape) > 4:
        raise InputError(
            f"{request.source.path}: --outlines: found a stack of axes {shape}; outlines name "
            "slices and frames, not a third axis"
        )


def _object_scale(
    request: Request, work: WorkFolder, planes: int, progress: Progress | None
) -> ObjectScale:
    """Return the scale of all planes; an estimate looks at the middle one."""
    spec = dataclasses.replace(request.source, plane=planes // 2)
    with closing(open_source(spec)) as source:
        limits = Limits(0, 0, False)
        if request.diameter == "auto":
            limits = image_limits(source, request.model.config.preprocessing, progress)
        return object_scale(request, work, source, limits, progress)


def _parts(labels: Labels3D, options: StackOptions) -> list[Labels3D]:
    """Return the parts that are numbered together: each frame, or each volume of a series."""
    return list(labels.reshape(-1, *labels.shape[labels.ndim - _inner(options) :]))


def _inner(options: StackOptions) -> int:
    return 2 if options.kind == "frames" else 3


def _joined(labels: Labels3D, options: StackOptions) -> Labels3D:
    if options.kind == "frames":
        return labels
    for part in _parts(labels, options):
        part[...] = merge_slices(
            part, gap_closing=options.gap_closing, min_z_extent=options.min_z_extent
        )
    return labels
