"""An object that is prompted in some slices of a stack, followed through the others.

In: a model, embeddings slice by slice, and the object's masks in one or more slices. Out: its mask
in all slices.

Source: micro-sam 1.8.14, ``multi_dimensional_segmentation.segment_mask_in_volume``. There are two
differences. An empty mask does not prompt the next slice but ends the following. In tiled
embeddings the tile is the one in which the prompt lies most central, as for all prompts here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import check_origin
from samzoo.runtime.engine.object_scale import at_scale
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Masks, Progress
from samzoo.runtime.formats.config import MASK_THRESHOLD
from samzoo.runtime.model import Model
from samzoo.runtime.prompts.batches import central_tile, decode
from samzoo.runtime.prompts.derivation import (
    Projection,
    check_projection,
    mask_as_logits,
    prompt_of_mask,
)
from samzoo.runtime.prompts.enlargement import draw_mask
from samzoo.runtime.prompts.tokens import Prompt

IOU_THRESHOLD = 0.8
"""Masks of two slices with a lower IoU belong to different objects. Source: micro-sam's preset for
light microscopy."""


@dataclass(frozen=True)
class Following:
    """The settings by which an object is followed.

    Attributes:
        projection: The part of a slice's mask that prompts the next slice.
        iou_threshold: Beyond the outermost given slices, stop at a mask whose IoU with the one
            before is lower.
        box_extension: As in ``prompt_of_mask``.
        stop_lower: The lowest given slice is the object's first.
        stop_upper: The highest given slice is the object's last.
    """

    projection: Projection = "box"
    iou_threshold: float = IOU_THRESHOLD
    box_extension: float = 0.0
    stop_lower: bool = False
    stop_upper: bool = False

    def __post_init__(self) -> None:
        check_projection(self.projection)
        if not 0 <= self.iou_threshold <= 1:
            raise InputError(f"iou_threshold: found {self.iou_threshold}, allowed are 0 to 1")
        if self.box_extension < 0:
            raise InputError(f"box_extension: found {self.box_extension}, allowed is 0 or more")


Embed = Callable[[int], ImageEmbeddings]
"""Returns the embeddings of a slice; it is called repeatedly for the same few slices."""


def follow_object(
    model: Model,
    embed: Embed,
    given: Mapping[int, Masks],
    *,
    slices: int,
    following: Following | None = None,
    progress: Progress | None = None,
) -> dict[int, Masks]:
    """Follow an object through a stack.

    Args:
        model: The model that made the embeddings.
        embed: Returns the embeddings of a slice.
        given: The object's masks ``(height, width)`` by slice; one or more, not all empty.
        slices: Number of slices of the stack.
        following: Settings; the defaults of ``Following`` if None.
        progress: Called with ("follow", slices done, 0).

    Returns:
        Masks by slice, the given ones included; other slices do not hold the object.

    Raises:
        InputError: No mask is given, a mask is empty or outside the stack, or the package is too
            old to return one mask for points.
    """
    options = following or Following()
    if not given or not all(0 <= z < slices and mask.any() for z, mask in given.items()):
        raise InputError(
            f"given: expected masks that are not empty in slices 0 to {slices - 1}, found slices "
            f"{sorted(given)}"
        )
    done = 0

    def predict(z: int, mask: Masks) -> Masks:
        nonlocal done
        done += 1
        if progress is not None:
            progress("follow", done, 0)
        return _next_mask(model, embed(z), mask, options)

    return follow(predict, given, slices=slices, options=options)


def follow(
    predict: Callable[[int, Masks], Masks],
    given: Mapping[int, Masks],
    *,
    slices: int,
    options: Following,
) -> dict[int, Masks]:
    """Go from slice to slice; ``predict`` makes a slice's mask from a neighbour's.

    Args:
        predict: Takes a slice's number and the mask that prompts it.
        given: As in ``follow_object``.
        slices: Number of slices of the stack.
        options: Where to stop.

    Returns:
        As ``follow_object``.
    """
    found = dict(given)
    known = sorted(given)

    def go(start: int, end: int, step: int, threshold: float | None = None) -> None:
        """Go from the slice after ``start`` to ``end``, inclusive."""
        for z in range(start + step, end + step, step):
            before = found[z - step]
            mask = predict(z, before)
            if threshold is not None and (not mask.any() or _iou(before, mask) < threshold):
                return
            found[z] = mask

    if not options.stop_lower:
        go(known[0], 0, -1, options.iou_threshold)
    if not options.stop_upper:
        go(known[-1], slices - 1, 1, options.iou_threshold)
    for lower, upper in pairwise(known):
        gap = upper - lower
        if gap == 1:
            continue
        if lower == known[0] and options.stop_lower:
            go(upper, lower + 1, -1)
        elif upper == known[-1] and options.stop_upper:
            go(lower, upper - 1, 1)
        else:
            # From both ends; both neighbours prompt an odd slice in the middle.
            middle = (lower + upper) // 2
            last = middle - 1 if gap % 2 == 0 else middle
            go(lower, last, 1)
            go(upper, middle + 1, -1)
            if gap % 2 == 0:
                found[middle] = predict(middle, found[middle - 1] | found[middle + 1])
    return {z: mask for z, mask in sorted(found.items()) if mask.any()}


def _iou(a: Masks, b: Masks) -> float:
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 0.0


def _next_mask(model: Model, embeddings: ImageEmbeddings, mask: Masks, options: Following) -> Masks:
    """Prompt a slice with the mask of its neighbour."""
    check_origin(embeddings, model.config)
    config = at_scale(model.config, embeddings.scale)
    result = np.zeros(embeddings.original_size, np.bool_)
    if mask.shape != result.shape:
        raise InputError(f"given: masks have shape {mask.shape}, the slices {result.shape}")
    if not mask.any():
        return result
    prompt = prompt_of_mask(mask, options.projection, box_extension=options.box_extension)
    index = central_tile(prompt, embeddings.tiles)
    if options.projection in ("mask", "points_and_mask"):
        logits = mask_as_logits(mask, embeddings.tiles[index], config)
        prompt = Prompt(prompt.coords, prompt.labels, logits)
    # A box says what is meant; for points the graph would return the best of three masks.
    one = None if prompt.has_box else False
    (decoded,) = decode(
        model.networks, config, embeddings, [prompt], tiles=[index], multimask_output=one
    )
    y0, x0, y1, x1 = decoded.tile.outer
    part = result[y0:y1, x0:x1]
    draw_mask(decoded.low_res[0, 0], decoded.enlargement, MASK_THRESHOLD, part)
    return result
