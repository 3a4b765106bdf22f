"""The verbs ``prompt`` and ``embed``: images, files of embeddings, and stores of them.

Each takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

import math
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.image_files import MAX_PIXELS
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.reading import read_image, write_labels
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.large.micro_sam_embeddings import is_micro_sam, read_micro_sam_embeddings
from samzoo.runtime.large.painted import Painted
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.cutouts import MaskPart, paint_parts
from samzoo.runtime.windows.label_tiff import write_label_tiff
from samzoo.runtime.windows.zarr_source import is_zarr

from . import prompt_file
from .label_outputs import check_overlay, label_output
from .model_options import load_model, source_spec
from .progress import progress_bar
from .volume_command import prompt_volume

Result = dict[str, Any]


def prompt(options: Namespace) -> Result:
    """Segment prompted objects."""
    output = label_output(Path(options.image), options)
    overlay = check_overlay(options, [(Path(options.image), output)])
    if options.prompts and (options.point or options.box):
        raise InputError("give either --prompts or --point and --box, not both")
    objects = (
        prompt_file.read_prompts(Path(options.prompts))
        if options.prompts
        else prompt_file.from_options(options.point, options.label, options.box)
    )
    model = load_model(options)
    if options.slice is not None:
        return prompt_volume(options, model, objects, output)
    embeddings, image, encoded = _embeddings_of(options, model)
    if overlay is not None and image is None:
        raise InputError("--overlay needs an image, not embeddings or a store of them")
    parts: list[MaskPart] = [(0, 0, np.zeros((0, 0), np.bool_))] * len(objects)
    scores = np.zeros(len(objects), np.float32)
    with progress_bar() as progress:
        for members, arguments in prompt_file.to_arrays(objects):
            found, scores[members], _ = model.prompt_parts(
                embeddings, **arguments, progress=progress
            )
            for member, part in zip(members, found, strict=True):
                parts[member] = part
    if math.prod(embeddings.original_size) > MAX_PIXELS:
        if output.suffix.lower() == ".png":
            raise InputError(f"{output}: the image is too large for a PNG; write a .tif file")
        write_label_tiff(output, Painted(parts, embeddings.original_size))
    else:
        labels = paint_parts(parts, embeddings.original_size)
        write_labels(output, labels)
        if overlay is not None and image is not None:
            write_overlay(overlay, image, labels)
    rows = [
        {"label": i + 1, "iou_prediction": round(float(s), 4), "pixels": int(mask.sum())}
        for i, (s, (_, _, mask)) in enumerate(zip(scores, parts, strict=True))
    ]
    result: Result = {"text": str(output), "labels": str(output), "objects": rows}
    return result if encoded is None else {**result, "tiles_encoded": len(encoded)}


def embed(options: Namespace) -> Result:
    """Compute and save image embeddings."""
    model = load_model(options)
    if options.store:
        if options.output:
            raise InputError("give either -o or --store, not both")
        return _fill_store(options, model)
    if not options.output:
        raise InputError("give -o FILE.safetensors, or --store DIR")
    output = Path(options.output)
    if output.suffix != ".safetensors":
        raise InputError(f"{output}: embeddings are written as .safetensors; name it so")
    check_output(output, force=options.force, inputs=[Path(options.image)])
    with progress_bar() as progress:
        embeddings = model.embed(read_image(Path(options.image)), progress=progress)
    embeddings.save(output)
    return {"text": str(output), "embeddings": str(output), "tiles": len(embeddings.tiles)}


def _fill_store(options: Namespace, model: Model) -> Result:
    """Encode every tile that the store does not have; an interrupted call is gone on from."""
    embeddings, encoded = _from_store(options, model)
    with progress_bar() as progress:
        for index, _ in enumerate(embeddings.values):
            progress("embed", index + 1, len(embeddings.tiles))
    return {
        "text": options.store,
        "store": options.store,
        "tiles": len(embeddings.tiles),
        "tiles_encoded": len(encoded),
    }


def _from_store(options: Namespace, model: Model) -> tuple[ImageEmbeddings, list[int]]:
    encoded: list[int] = []
    spec = source_spec(Path(options.image), options)
    store = EmbeddingStore(options.store)
    return store.embed(model, spec, encoded=encoded.append), encoded


def _embeddings_of(
    options: Namespace, model: Model
) -> tuple[ImageEmbeddings, Array | None, list[int] | None]:
    """Embeddings, the image where it was read whole, and the tiles that a store had not."""
    path = Path(options.image)
    if options.store:
        return _from_store_with_image(options, model)
    if path.suffix == ".safetensors":
        return ImageEmbeddings.load(path), None, None
    if is_zarr(path) and is_micro_sam(path):
        return read_micro_sam_embeddings(path, model.config, plane=options.plane), None, None
    if is_zarr(path):
        raise InputError(f"{path}: pass --store DIR, where the embeddings of its tiles are kept")
    image = read_image(path)
    with progress_bar() as progress:
        return model.embed(image, progress=progress), image, None


def _from_store_with_image(
    options: Namespace, model: Model
) -> tuple[ImageEmbeddings, Array | None, list[int]]:
    embeddings, encoded = _from_store(options, model)
    image = None
    if options.overlay and math.prod(embeddings.original_size) <= MAX_PIXELS:
        image = read_image(Path(options.image))
    return embeddings, image, encoded
