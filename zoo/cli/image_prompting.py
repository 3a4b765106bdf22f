"""Segmentation of prompted objects in one image, or from stored embeddings of it.

In: a model, prompts, an image. Out: labels in a file, and a report of each object.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.automatic.doubts import image_doubts, mask_doubts, score_doubts
from samzoo.runtime.budgets import MAX_PIXELS
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.object_scale import Diameter, ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.large.micro_sam_embeddings import is_micro_sam, read_micro_sam_embeddings
from samzoo.runtime.large.painted import Painted
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.zarr_source import is_zarr
from samzoo.runtime.prompts.cutouts import MaskPart, paint_parts
from samzoo.runtime.windows.label_tiff import write_label_tiff
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.pixel_size import PixelSize, pixel_sizes
from samzoo.zoo.annotation.corrections import Correction, write_corrected

from .model_loading import for_image, source_spec, told
from .options import refuse_given
from .prompt_file import diameter_of_boxes, to_arrays, with_logits
from .verb import Result


def prompt_image(
    model: Model,
    objects: Sequence[dict[str, Any]],
    image: Path,
    output: Path,
    *,
    overlay: Path | None,
    store: Path | None,
    level: int | None,
    series: int | None,
    channel: int | str | None,
    plane: int | None,
    diameter: Diameter,
    progress: Progress,
    correction: Correction | None = None,
) -> Result:
    """Segment prompted objects and write their labels; object i has label i + 1.

    Args:
        model: The model.
        objects: The prompted objects, as ``prompt_file`` reads them.
        image: An image, a file of embeddings, or a folder of micro-sam's embeddings.
        output: The label file, which has been checked.
        overlay: A PNG with the labels drawn on the image; None for no overlay.
        store: Folder of the tiles' embeddings; None to compute those of the whole image.
        level: Level of a pyramid.
        series: Image of a TIFF with several.
        channel: Channel of an image.
        plane: Plane of a stack, also of micro-sam's embeddings of one.
        diameter: The objects' diameter: a number, for which the model has been opened already,
            ``auto`` or ``own``; refused for embeddings, which have their scale. ``auto`` is the
            median of the boxes, or without boxes an estimate from the image.
        progress: Callback for progress.
        correction: What the objects are in labels that exist already; None for new labels.

    Returns:
        The result that the verb prints.

    Raises:
        SamzooError: An input cannot be used, or the output cannot be written.
    """
    place = {"level": level, "series": series, "channel": channel, "plane": plane}
    if image.suffix == ".safetensors" or (is_zarr(image) and is_micro_sam(image)):
        refuse_given({"diameter": diameter}, "embeddings have their scale already; omit it")
    of_boxes = diameter_of_boxes(objects) if diameter == "auto" else None
    diameter = diameter if of_boxes is None else of_boxes
    encoded: list[int] | None = None
    scale: ObjectScale | None = None
    pixels: Array | None = None
    notes: list[str] = []
    if store is not None:
        encoded = []
        spec = source_spec(image, level=level, series=series, channel=channel, plane=plane)
        with closing(open_source(spec)) as source:
            notes = source.notes
            if overlay is not None:
                pixels = source.whole()
        model, scale = for_image(model, spec, diameter, progress=progress)
        kept = EmbeddingStore(store)
        embeddings = kept.embed(model, spec, encoded=encoded.append)
        notes = list(dict.fromkeys([*notes, *kept.notes]))
    else:
        embeddings, pixels, notes, scale, encoded = _embeddings_of(
            model, image, place, diameter, progress
        )
    if overlay is not None and pixels is None:
        raise InputError("--overlay needs an image, not embeddings of one; give the image")
    existing: Labels2D | None = None
    if correction is not None:
        existing = correction.read(embeddings.original_size, masks=len(objects))
    parts, scores = _prompted(model, objects, embeddings, progress)
    if scale is not None and of_boxes is not None:
        scale = dataclasses.replace(scale, origin="boxes")
    facts = None if scale is None else scale.facts()
    sizes: dict[str, PixelSize] = {}
    if scale is not None:  # an image, and no embeddings, which do not say how large a pixel is
        spec = source_spec(image, level=level, series=series, channel=channel, plane=plane)
        sizes = pixel_sizes(spec)
    numbers = list(range(1, len(parts) + 1))
    if correction is not None and existing is not None:
        labels, numbers = correction.changed(existing, parts)
        write_corrected(output, labels, sizes=sizes)
        if overlay is not None and pixels is not None:
            write_overlay(overlay, pixels, labels)
    elif math.prod(embeddings.original_size) > MAX_PIXELS:
        if output.suffix.lower() == ".png":
            raise InputError(f"{output}: the image is too large for a PNG; write a .tif file")
        painted = Painted(parts, embeddings.original_size)
        write_label_tiff(output, painted, facts=facts, sizes=sizes)
    else:
        labels = paint_parts(parts, embeddings.original_size)
        write_labels(output, labels, facts=facts, sizes=sizes)
        if overlay is not None and pixels is not None:
            write_overlay(overlay, pixels, labels)
    rows = [
        {"label": number, "iou_prediction": round(float(s), 4), "pixels": int(mask.sum())}
        for number, s, (_, _, mask) in zip(numbers, scores, parts, strict=True)
    ]
    result: Result = {"text": str(output), "labels": str(output), "objects": rows}
    if scale is not None:
        result.update(told(scale, notes))
    if pixels is not None:
        notes = [*notes, *image_doubts(pixels, model.config)]
    empty = mask_doubts([int(mask.sum()) for _, _, mask in parts])
    if notes := [*notes, *score_doubts(scores), *empty]:
        result["notes"] = notes
    return result if encoded is None else {**result, "tiles_encoded": len(encoded)}


def delete_objects(
    correction: Correction, output: Path, *, overlay: Path | None, place: dict[str, Any]
) -> Result:
    """Delete objects from labels that exist already; no model is needed.

    Args:
        correction: The labels and the objects.
        output: The label file, which has been checked.
        overlay: A PNG with the labels that are left drawn on the image; None for no overlay.
        place: Level, series, channel and plane of the image.

    Returns:
        The result that the verb prints.

    Raises:
        SamzooError: An input cannot be used, or the output cannot be written.
    """
    spec = source_spec(correction.image, **place)
    with closing(open_source(spec)) as source:
        labels, _ = correction.changed(correction.read(source.size, masks=0), [])
        pixels = None if overlay is None else source.whole()
        notes = source.notes
    write_corrected(output, labels, sizes=pixel_sizes(spec))
    if overlay is not None and pixels is not None:
        write_overlay(overlay, pixels, labels)
    deleted = list(correction.deleted)
    result: Result = {"text": str(output), "labels": str(output), "deleted": deleted}
    return {**result, "notes": notes} if notes else result


def _prompted(
    model: Model,
    objects: Sequence[dict[str, Any]],
    embeddings: ImageEmbeddings,
    progress: Progress,
) -> tuple[list[MaskPart], Array]:
    parts: list[MaskPart] = [(0, 0, np.zeros((0, 0), np.bool_))] * len(objects)
    scores = np.zeros(len(objects), np.float32)
    for members, arguments in to_arrays(with_logits(objects, embeddings, model.config)):
        found, scores[members], _ = model.prompt_parts(embeddings, **arguments, progress=progress)
        for member, part in zip(members, found, strict=True):
            parts[member] = part
    return parts, scores


def _embeddings_of(
    model: Model, path: Path, place: dict[str, Any], diameter: Diameter, progress: Progress
) -> tuple[ImageEmbeddings, Array | None, list[str], ObjectScale | None, list[int] | None]:
    """Return the embeddings, the image and its scale if it was read, notes, and the tiles encoded.

    Embeddings of an image are lazy, so that the last list fills when prompts need a tile.
    """
    if is_zarr(path) and is_micro_sam(path):
        plane = place["plane"]
        others = {name: value for name, value in place.items() if name != "plane"}
        refuse_given(others, "micro-sam's embeddings are of one image; omit it")
        return read_micro_sam_embeddings(path, model.config, plane=plane), None, [], None, None
    if path.suffix == ".safetensors":
        refuse_given(place, "a file of embeddings holds one image; omit it")
        return ImageEmbeddings.load(path), None, [], None, None
    with closing(open_source(source_spec(path, **place))) as source:
        image, notes = source.whole(), source.notes
    scale = model.object_scale(image, diameter, progress=progress)
    encoded: list[int] = []

    def count(stage: str, done: int, total: int) -> None:
        encoded.append(done)
        progress(stage, done, total)

    embeddings = model.embed(image, diameter=scale.changed, lazy=True, progress=count)
    return embeddings, image, notes, scale, encoded
