"""Second and third step: the seeds in a block, and the objects that grow from them.

In: the pieces ``maps``; for objects also ``seeds`` and their numbers. Out: the pieces ``seeds`` and
``objects``. The arithmetic is that of ``ais.segment_from_maps``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from samzoo.runtime.automatic.ais import find_seeds, flood, smooth
from samzoo.runtime.formats.arrays import Float2D, Labels2D, Masks
from samzoo.runtime.pixels.reader import Window

from .context import Context
from .maps_step import read_maps
from .numbering import SEEDS, Numbers, first_pixels, read_numbers
from .plan import overlap, part
from .work import Arrays

OBJECTS = "objects"


@dataclass(frozen=True)
class Smoothed:
    """Foreground and distances of a window, equal to those of the whole image."""

    mask: Masks
    center: Float2D
    boundary: Float2D


def compute_seeds(context: Context, index: int) -> None:
    """Find the seeds in a block, and number them within it.

    The piece holds ``labels`` (height, width), ``first`` (each seed's first pixel, as a raster
    number in the whole image) and ``heights``, the lowest and highest boundary distance in the
    foreground, which scale the watershed.
    """
    window = context.plan.block_window(index)
    maps, ais = smoothed(context, window), context.plan.ais
    labels = find_seeds(
        maps.mask, maps.center, maps.boundary,
        center_threshold=ais.center_distance_threshold,
        boundary_threshold=ais.boundary_distance_threshold,
    )  # fmt: skip
    inside = maps.boundary[maps.mask]
    heights = (inside.min(), inside.max()) if inside.size else (np.inf, -np.inf)
    arrays: Arrays = {
        "labels": labels,
        "first": first_pixels(labels, window, context.plan.size[1]),
        "heights": np.array(heights, np.float32),
    }
    context.work.write(SEEDS, index, arrays, compressed=True)


def compute_objects(context: Context, index: int) -> None:
    """Flood the objects around a block, and keep the labels inside it.

    The piece holds ``labels`` (height, width), ``ids`` of the objects in it and their ``areas``.
    """
    numbers = read_numbers(context.work)
    block = context.plan.block_window(index)
    window = context.plan.grown(block, context.plan.margin)
    seeds = _read_seeds(context, numbers, window)
    labels = np.zeros((block[2] - block[0], block[3] - block[1]), np.int32)
    if seeds.any():
        maps = smoothed(context, window)
        ids, places = np.unique(seeds, return_inverse=True)
        start = int(ids[0] != 0)  # 0 stays 0
        compact: Labels2D = (places.reshape(seeds.shape) + start).astype(np.int32)
        found = flood(maps.boundary, compact, maps.mask, heights=numbers.heights)
        ids = np.concatenate([[0], ids]) if start else ids
        labels = ids.astype(np.int32)[found[part(block, window)]]
    ids, areas = np.unique(labels, return_counts=True)
    kept = ids > 0
    arrays: Arrays = {"labels": labels, "ids": ids[kept], "areas": areas[kept]}
    context.work.write(OBJECTS, index, arrays, compressed=True)


def smoothed(context: Context, window: Window) -> Smoothed:
    """Smooth the maps around a window, and cut them back to the window."""
    ais = context.plan.ais
    around = context.plan.smoothing_window(window)
    foreground, center, boundary = read_maps(context, around)
    inside = part(window, around)
    return Smoothed(
        smooth(foreground, ais.foreground_smoothing)[inside] > ais.foreground_threshold,
        smooth(center, ais.distance_smoothing)[inside],
        np.ascontiguousarray(smooth(boundary, ais.distance_smoothing)[inside]),
    )


def _read_seeds(context: Context, numbers: Numbers, window: Window) -> Labels2D:
    """Join the seeds of a window from its blocks, with the numbers of the whole image."""
    seeds = np.zeros((window[2] - window[0], window[3] - window[1]), np.int32)
    for index in context.plan.blocks_in(window):
        block = context.plan.block_window(index)
        shared = overlap(block, window)
        assert shared is not None
        stored = context.work.read(SEEDS, index)["labels"][part(shared, block)]
        seeds[part(shared, window)] = numbers.of_block(index)[stored]
    return seeds
