"""Segmentation of objects prompted in one slice of a stack and followed through the others.

In: a model, prompts, a stack. Out: labels of the stack in a file, and a report of each object.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels3D, Masks, Progress
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.large.micro_sam_embeddings import (
    is_micro_sam,
    micro_sam_slices,
    read_micro_sam_embeddings,
)
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.zarr_source import is_zarr
from samzoo.runtime.volumes.following import Following, follow_object
from samzoo.runtime.volumes.writing import write_stack
from samzoo.runtime.windows.opening import open_source

from .model_loading import for_image, source_spec, told
from .options import refuse_given
from .prompt_file import diameter_of_boxes, to_arrays
from .verb import Result

REMEMBERED = 32
"""Number of slices whose embeddings stay in memory (own choice: 128 MB at a grid of 64)."""


def prompt_stack(
    model: Model,
    objects: Sequence[dict[str, Any]],
    stack: Path,
    output: Path,
    *,
    start: int,
    following: Following,
    store: Path | None,
    level: int | None,
    series: int | None,
    channel: int | str | None,
    diameter: Diameter,
    force: bool,
    progress: Progress,
) -> Result:
    """Follow each object, and write labels of the stack; object i has label i + 1.

    Args:
        model: The model.
        objects: The prompted objects in the slice ``start``, as ``prompt_file`` reads them.
        stack: A stack, or a folder of micro-sam's embeddings of one.
        output: The label file, a TIFF.
        start: The slice with the prompts.
        following: How objects are followed.
        store: Folder of the slices' embeddings; None to compute them.
        level: Level of a pyramid.
        series: Image of a TIFF with several.
        channel: Channel of an image.
        diameter: As in ``prompt_image``; what ``auto`` finds in the slice ``start`` is
            for all slices.
        force: Replace an existing ``output``.
        progress: Callback for progress.

    Returns:
        The result that the verb prints.

    Raises:
        SamzooError: An input cannot be used, or the output cannot be written.
    """
    if output.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"{output}: the name of a stack's label file must end in .tif")
    spec = source_spec(stack, level=level, series=series, channel=channel, plane=None)
    scale: ObjectScale | None = None
    notes: list[str] = []
    if is_zarr(stack) and is_micro_sam(stack):
        refuse_given({"diameter": diameter}, "embeddings have their scale already; omit it")
        place = {"level": level, "series": series, "channel": channel}
        refuse_given({"store": store, **place}, "micro-sam's embeddings are used as they are")
        embed, slices = _micro_sam(stack, model)
    else:
        slices = _slices(stack, spec)
        _check_start(start, slices)
        here_spec = dataclasses.replace(spec, plane=start)
        of_boxes = diameter_of_boxes(objects) if diameter == "auto" else None
        wanted = diameter if of_boxes is None else of_boxes
        model, scale = for_image(model, here_spec, wanted, progress=progress)
        if of_boxes is not None:
            scale = dataclasses.replace(scale, origin="boxes")
        embed = _computed(spec, store, model)
    _check_start(start, slices)
    here = embed(start)
    masks = np.zeros((len(objects), *here.original_size), np.bool_)
    for members, arguments in to_arrays(objects):
        masks[members], _, _ = model.prompt(here, **arguments)
    found: list[Mapping[int, Masks]] = [
        follow_object(
            model, embed, {start: mask}, slices=slices, following=following, progress=progress
        )
        if mask.any()
        else {}
        for mask in masks
    ]
    labels = _painted(found, (slices, *here.original_size))
    write_stack(output, labels, spec, force=force, facts=None if scale is None else scale.facts())
    rows = [
        {
            "label": i + 1,
            "slices": [min(each), max(each)] if each else [],
            "voxels": int(sum(mask.sum() for mask in each.values())),
        }
        for i, each in enumerate(found)
    ]
    result: Result = {"text": str(output), "labels": str(output), "objects": rows}
    if scale is not None:
        result.update(told(scale, notes))
    return {**result, "notes": notes} if notes else result


def _check_start(start: int, slices: int) -> None:
    if not 0 <= start < slices:
        raise InputError(f"--slice: found {start}, the stack has {slices}: 0 to {slices - 1}")


def _micro_sam(path: Path, model: Model) -> tuple[Callable[[int], ImageEmbeddings], int]:
    """How to get a slice's embeddings, and the number of slices."""
    count = micro_sam_slices(path)
    if count is None:
        raise InputError(f"{path}: holds the embeddings of an image; omit --slice")
    read = lru_cache(maxsize=REMEMBERED)(
        lambda z: read_micro_sam_embeddings(path, model.config, plane=z)
    )
    return read, count


def _slices(path: Path, spec: SourceSpec) -> int:
    shape = stack_shape(spec)
    if len(shape) != 3:
        raise InputError(
            f"{path}: --slice: found an image of axes {shape}, expected slices, height and width"
        )
    return shape[0]


def _computed(
    spec: SourceSpec, folder: Path | None, model: Model
) -> Callable[[int], ImageEmbeddings]:
    """How to get a slice's embeddings."""
    store = None if folder is None else EmbeddingStore(folder)

    @lru_cache(maxsize=REMEMBERED)
    def embed(z: int) -> ImageEmbeddings:
        chosen = dataclasses.replace(spec, plane=z)
        if store is not None:
            return store.embed(model, chosen)
        with closing(open_source(chosen)) as source:
            return model.embed(source.read((0, 0, *source.size)), lazy=True)

    return embed


def _painted(found: Sequence[Mapping[int, Masks]], shape: tuple[int, ...]) -> Labels3D:
    """Paint the largest object first, so that small ones stay visible."""
    sizes = [sum(int(mask.sum()) for mask in each.values()) for each in found]
    labels = np.zeros(shape, np.int32)
    for index in sorted(range(len(found)), key=lambda i: -sizes[i]):
        for z, mask in found[index].items():
            labels[z][mask] = index + 1
    return labels
