"""``samzoo prompt --slice``: objects that are prompted in one slice and followed through a stack.

Takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

import dataclasses
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels3D, Masks
from samzoo.runtime.images.reading import TIFF_SUFFIXES
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.large.micro_sam_embeddings import (
    is_micro_sam,
    micro_sam_slices,
    read_micro_sam_embeddings,
)
from samzoo.runtime.model import Model
from samzoo.runtime.volumes.following import Following, follow_object
from samzoo.runtime.volumes.writing import write_stack
from samzoo.runtime.windows.opening import open_source, stack_shape
from samzoo.runtime.windows.source import SourceSpec
from samzoo.runtime.windows.zarr_source import is_zarr

from . import prompt_file
from .model_options import source_spec
from .progress import progress_bar

Result = dict[str, Any]

REMEMBERED = 32
"""Slices whose embeddings stay in memory (own choice: 128 MB at a grid of 64)."""


def prompt_volume(
    options: Namespace, model: Model, objects: Sequence[dict[str, Any]], output: Path
) -> Result:
    """Follow each object; labels of the stack are written, object i has label i + 1."""
    if output.suffix.lower() not in TIFF_SUFFIXES:
        raise InputError(f"{output}: labels of a stack are written as .tif")
    if options.overlay:
        raise InputError("--overlay is for images; leave out --slice")
    embed, spec, slices = _embeddings(options, model)
    start = options.slice
    if not 0 <= start < slices:
        raise InputError(f"--slice: found {start}, the stack has {slices}: 0 to {slices - 1}")
    following = Following(
        projection=options.projection,
        iou_threshold=options.iou_threshold,
        box_extension=options.box_extension,
    )
    here = embed(start)
    masks = np.zeros((len(objects), *here.original_size), np.bool_)
    for members, arguments in prompt_file.to_arrays(objects):
        masks[members], _, _ = model.prompt(here, **arguments)
    found: list[Mapping[int, Masks]] = []
    with progress_bar() as progress:
        for mask in masks:
            given = {start: mask}
            found.append(
                follow_object(
                    model, embed, given, slices=slices, following=following, progress=progress
                )
                if mask.any()
                else {}
            )
    labels = _painted(found, (slices, *here.original_size))
    write_stack(output, labels, spec, force=options.force)
    rows = [
        {
            "label": i + 1,
            "slices": [min(each), max(each)] if each else [],
            "voxels": int(sum(mask.sum() for mask in each.values())),
        }
        for i, each in enumerate(found)
    ]
    return {"text": str(output), "labels": str(output), "objects": rows}


def _embeddings(
    options: Namespace, model: Model
) -> tuple[Callable[[int], ImageEmbeddings], SourceSpec, int]:
    """How to get a slice's embeddings, which file that is, and the number of slices."""
    path = Path(options.image)
    spec = source_spec(path, options)
    if is_zarr(path) and is_micro_sam(path):
        count = micro_sam_slices(path)
        if count is None:
            raise InputError(f"{path}: holds the embeddings of an image; leave out --slice")
        kept = lru_cache(maxsize=REMEMBERED)(
            lambda z: read_micro_sam_embeddings(path, model.config, plane=z)
        )
        return kept, spec, count
    shape = stack_shape(spec)
    if len(shape) != 3:
        raise InputError(
            f"{path}: --slice: found an image of axes {shape}, expected slices, height and width"
        )
    store = EmbeddingStore(options.store) if options.store else None

    @lru_cache(maxsize=REMEMBERED)
    def embed(z: int) -> ImageEmbeddings:
        chosen = dataclasses.replace(spec, plane=z)
        if store is not None:
            return store.embed(model, chosen)
        with closing(open_source(chosen)) as source:
            return model.embed(source.read((0, 0, *source.size)))

    return embed, spec, shape[0]


def _painted(found: Sequence[Mapping[int, Masks]], shape: tuple[int, ...]) -> Labels3D:
    """Paint the largest object first, so that small ones stay visible."""
    sizes = [sum(int(mask.sum()) for mask in each.values()) for each in found]
    labels = np.zeros(shape, np.int32)
    for index in sorted(range(len(found)), key=lambda i: -sizes[i]):
        for z, mask in found[index].items():
            labels[z][mask] = index + 1
    return labels
