"""Objects of neighbouring slices, joined to objects of a volume or a time series.

In: the instance labels of each slice. Out: labels of the whole stack.

Source: micro-sam 1.8.14, ``multi_dimensional_segmentation.merge_instance_segmentation_3d``; with
``overlap_of="earlier"`` the partition is the same (compared on stored stacks). Its parameter
``beta`` has no effect and is left out here. There are two differences: a slice without background
keeps all of its objects, and labels are numbered without gaps in the order in which they first
appear.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, get_args

import numpy as np
from bioimage_cpp.graph import UndirectedGraph
from bioimage_cpp.graph.multicut import KernighanLinMulticut, MulticutDecomposer, MulticutObjective
from bioimage_cpp.segmentation import label
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError, ShapeError, shown
from samzoo.runtime.formats.arrays import Labels2D, Labels3D, Masks

PROBABILITY_MARGIN = 0.001
"""Keeps logarithms of overlaps finite. Source: elf 0.9.2, ``multicut.py``."""

BIAS = {"earlier": 1.0, "smaller": 0.0}
"""With these, two isolated objects join at an overlap of 0.27 (source: micro-sam) or of 0.5."""


OverlapOf = Literal["smaller", "earlier"]
"""The object whose area an overlap is divided by."""


def merge_slices(
    slices: Labels3D,
    *,
    overlap_of: OverlapOf = "smaller",
    gap_closing: int = 0,
    min_z_extent: int = 0,
) -> Labels3D:
    """Give the parts of one object in all slices one label.

    Objects of neighbouring slices join if enough of one lies over the other. A multicut decides
    for all at once, so that two objects that overlap a third join it only if they fit together.

    Args:
        slices: ``(slices, height, width)`` instances of each slice, 0 is background. The same
            number in two slices does not mean the same object.
        overlap_of: The object whose fraction counts. With ``smaller``, two isolated objects join
            if half of the smaller lies over the other, which keeps the ends of round objects:
            small pieces over large ones. With ``earlier``, the object of the earlier slice, it is
            micro-sam's rule, which cuts such ends off (own choice by benchmarks/volumes.py;
            neither is always better).
        gap_closing: Before merging, fill holes in objects of up to twice this many slices; 0 fills
            none.
        min_z_extent: Objects in fewer slices become background.

    Returns:
        ``(slices, height, width)`` int32, numbered from 1 in the order of their first pixels.

    Raises:
        ShapeError: ``slices`` does not have three axes.
        InputError: ``slices`` holds negative labels or no integers, or a parameter is negative.
    """
    _check(slices, gap_closing, min_z_extent)
    if overlap_of not in get_args(OverlapOf):
        raise InputError(f"overlap_of: found {shown(overlap_of)}, allowed: smaller, earlier")
    if not slices.size:
        return np.zeros(slices.shape, np.int32)
    stack = _numbered_apart(close_gaps(slices, gap_closing) if gap_closing else slices)
    pairs, overlaps = _overlaps(stack, overlap_of)
    if len(pairs):
        stack = _solve(int(stack.max()) + 1, pairs, overlaps, BIAS[overlap_of])[stack]
    if min_z_extent > 1:
        stack = np.where((_extents(stack) >= min_z_extent)[stack], stack, 0)
    return _numbered_by_appearance(stack)


def close_gaps(slices: Labels3D, iterations: int) -> Labels3D:
    """Fill holes along the slices, unless that joins objects of a slice.

    Args:
        slices: ``(slices, height, width)`` instances of each slice.
        iterations: Iterations of the closing; as many slices at either end stay unchanged.

    Returns:
        Labels of each slice; equal labels in two slices do not mean the same object.

    Source:
        micro-sam 1.8.14, ``multi_dimensional_segmentation._preprocess_closing``.
    """
    closed = _eroded(_dilated(slices > 0, iterations), iterations)
    result = np.array(slices)
    for z in range(iterations, len(slices) - iterations):
        result[z] = _closed_slice(np.asarray(slices[z]), closed[z])
    return result


def _closed_slice(given: Labels2D, closed: Masks) -> Labels2D:
    """Take each component of the closed mask, except those that hold several objects."""
    components = np.asarray(label(closed), given.dtype)
    pairs = np.unique(np.stack([components[given > 0], given[given > 0]]), axis=1)
    several = np.flatnonzero(np.bincount(pairs[0], minlength=int(components.max()) + 1) > 1)
    shared = np.isin(components, several[several > 0])
    kept = pairs[1][np.isin(pairs[0], several)]
    result = np.where(shared, 0, components)
    apart = np.isin(given, kept) & (given > 0)
    result[apart] = given[apart] + components.max()
    return result


def _dilated(mask: Masks, iterations: int) -> Masks:
    for _ in range(iterations):
        grown = mask.copy()
        grown[1:] |= mask[:-1]
        grown[:-1] |= mask[1:]
        mask = grown
    return mask


def _eroded(mask: Masks, iterations: int) -> Masks:
    """Erode a mask; outside the stack counts as background, as in SciPy."""
    for _ in range(iterations):
        shrunk = mask.copy()
        shrunk[1:] &= mask[:-1]
        shrunk[:-1] &= mask[1:]
        shrunk[0] = shrunk[-1] = False
        mask = shrunk
    return mask


def _check(slices: Labels3D, gap_closing: int, min_z_extent: int) -> None:
    if slices.ndim != 3:
        raise ShapeError(f"slices must have the axes slice, height, width; got {slices.shape}")
    if slices.dtype.kind not in "iu" or (slices.size and slices.min() < 0):
        raise InputError("slices must hold labels: integers from 0 on")
    for name, value in (("gap_closing", gap_closing), ("min_z_extent", min_z_extent)):
        if value < 0:
            raise InputError(f"{name}: must not be negative, found {value}")


def _numbered_apart(slices: Labels3D) -> NDArray[np.int64]:
    """Number the objects of all slices consecutively."""
    stack = np.zeros(slices.shape, np.int64)
    count = 0
    for z, given in enumerate(slices):
        ids, places = np.unique(given, return_inverse=True)
        numbers = np.arange(len(ids)) + count + (ids[0] != 0)
        numbers[ids == 0] = 0
        stack[z] = numbers[places.reshape(given.shape)]
        count += int(np.count_nonzero(ids))
    return stack


def _overlaps(
    stack: NDArray[np.int64], overlap_of: OverlapOf
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return pairs of overlapping objects in neighbouring slices, and the overlap's fraction."""
    areas = np.bincount(stack.reshape(-1))
    count = len(areas)
    found = []
    for here, there in pairwise(stack):
        both = (here > 0) & (there > 0)
        codes, pixels = np.unique(here[both] * count + there[both], return_counts=True)
        found.append(np.stack([codes // count, codes % count, pixels], axis=1))
    table = np.concatenate(found) if found else np.zeros((0, 3), np.int64)
    whole = areas[table[:, 0]]
    if overlap_of == "smaller":
        whole = np.minimum(whole, areas[table[:, 1]])
    return table[:, :2], table[:, 2] / whole


def _solve(
    count: int, pairs: NDArray[np.int64], overlaps: NDArray[np.float64], bias: float
) -> NDArray[np.int64]:
    """Return the joined object's number for each of ``count`` objects; 0 stays alone."""
    likely = (1 - 2 * PROBABILITY_MARGIN) * overlaps + PROBABILITY_MARGIN
    costs = bias - np.log((1 - likely) / likely)  # positive costs join
    graph = UndirectedGraph(count)
    graph.insert_edges(pairs.astype(np.uint64))
    solver = MulticutDecomposer(
        KernighanLinMulticut(), fallthrough_solver=KernighanLinMulticut(), number_of_threads=1
    )
    found = np.asarray(solver.optimize(MulticutObjective(graph, costs)), np.int64)
    return np.where(found == found[0], 0, found + 1)


def _extents(stack: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of slices from each object's first to its last."""
    first = np.full(int(stack.max()) + 1, len(stack))
    last = np.full(len(first), -1)
    for z, labels in enumerate(stack):
        ids = np.unique(labels)
        first[ids] = np.minimum(first[ids], z)
        last[ids] = z
    extents: NDArray[np.int64] = last - first + 1
    return extents


def _numbered_by_appearance(stack: NDArray[np.int64]) -> Labels3D:
    ids, first, places = np.unique(stack, return_index=True, return_inverse=True)
    first[ids == 0] = -1  # the background comes first
    order = np.argsort(np.argsort(first)) + (0 if ids[0] == 0 else 1)
    return order[places.reshape(stack.shape)].astype(np.int32)
