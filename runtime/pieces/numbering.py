"""The numbers of all objects: seeds of neighbouring blocks that touch get one number.

In: the pieces ``seeds`` of all blocks. Out: the piece ``numbers``, which maps a block's own
numbers to those of the whole image. They follow the raster order of each seed's first pixel, as in
an image that is segmented whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Labels2D, Progress
from samzoo.runtime.pixels.reader import Window

from .plan import Plan
from .work import Arrays, WorkFolder

SEEDS, NUMBERS = "seeds", "numbers"

Pairs = NDArray[np.int64]
"""Pairs of numbers, ``(n, 2)``."""


@dataclass(frozen=True)
class Numbers:
    """The result of ``number_seeds``.

    Attributes:
        offsets: ``(blocks + 1,)`` int64: the place in ``numbers`` where each block's seeds begin.
        numbers: ``(seeds of all blocks,)`` int32: each seed's number in the whole image.
        heights: Lowest and highest boundary distance in the foreground of the whole image.
        count: Largest number.
    """

    offsets: NDArray[np.int64]
    numbers: NDArray[np.int32]
    heights: tuple[float, float]
    count: int

    def of_block(self, index: int) -> NDArray[np.int32]:
        """Return the table from a block's own numbers to the image's; the first entry is 0."""
        own = self.numbers[self.offsets[index] : self.offsets[index + 1]]
        return np.concatenate([np.zeros(1, np.int32), own])


def first_pixels(labels: Labels2D, window: Window, width: int) -> NDArray[np.int64]:
    """Return the first pixel of each seed of a block, as a raster number in the whole image."""
    ids, first = np.unique(labels, return_index=True)
    first = first[ids > 0]
    rows, columns = np.divmod(first, labels.shape[1])
    return (rows + window[0]).astype(np.int64) * width + columns + window[1]


def number_seeds(plan: Plan, work: WorkFolder, progress: Progress | None = None) -> None:
    """Join the seeds that touch across blocks, and number all seeds.

    Args:
        plan: The image's plan.
        work: The work folder, with the seeds of all blocks.
        progress: Called with ("join", blocks done, blocks in all).
    """
    if work.has(NUMBERS, 0):
        return
    firsts, edges = [], []
    heights = np.array([np.inf, -np.inf], np.float32)
    for index in range(plan.blocks):
        piece = work.read(SEEDS, index)
        firsts.append(piece["first"])
        edges.append(_Edges.of(piece["labels"]))
        low, high = piece["heights"]
        heights = np.array([min(heights[0], low), max(heights[1], high)], np.float32)
        if progress is not None:
            progress("join", index + 1, plan.blocks)
    offsets = np.concatenate([[0], np.cumsum([len(first) for first in firsts])]).astype(np.int64)
    touching = [pairs for pairs in _touching(plan, edges, offsets) if len(pairs)]
    pairs = np.concatenate(touching) if touching else np.zeros((0, 2), np.int64)
    numbers = _numbers(np.concatenate(firsts), pairs)
    arrays: Arrays = {"offsets": offsets, "numbers": numbers, "heights": heights}
    work.write(NUMBERS, 0, arrays)


def read_numbers(work: WorkFolder) -> Numbers:
    """Read the result that ``number_seeds`` wrote."""
    piece = work.read(NUMBERS, 0)
    low, high = piece["heights"]
    numbers = piece["numbers"]
    return Numbers(
        piece["offsets"], numbers, (float(low), float(high)), int(numbers.max(initial=0))
    )


@dataclass(frozen=True)
class _Edges:
    """The outermost pixels of a block."""

    top: NDArray[np.int32]
    bottom: NDArray[np.int32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]

    @classmethod
    def of(cls, labels: Labels2D) -> _Edges:
        return cls(*(np.array(e) for e in (labels[0], labels[-1], labels[:, 0], labels[:, -1])))


def _touching(plan: Plan, edges: list[_Edges], offsets: NDArray[np.int64]) -> Iterator[Pairs]:
    """Yield pairs of seeds, counted over all blocks, that are 8-connected across a border."""
    rows, columns = plan.grid
    for index in range(plan.blocks):
        row, column = divmod(index, columns)
        here = edges[index]
        if column + 1 < columns:
            there = edges[index + 1]
            yield _facing(here.right, there.left, offsets[index], offsets[index + 1])
        if row + 1 < rows:
            below = index + columns
            yield _facing(here.bottom, edges[below].top, offsets[index], offsets[below])
            if column + 1 < columns:
                corner = edges[below + 1].top[:1]
                yield _facing(here.bottom[-1:], corner, offsets[index], offsets[below + 1])
            if column > 0:
                corner = edges[below - 1].top[-1:]
                yield _facing(here.bottom[:1], corner, offsets[index], offsets[below - 1])


def _facing(
    a: NDArray[np.int32], b: NDArray[np.int32], a_offset: np.int64, b_offset: np.int64
) -> Pairs:
    """Compare two lines of pixels, straight and shifted by one."""
    shifts = [(a, b), (a[1:], b[:-1]), (a[:-1], b[1:])]
    pairs = np.concatenate([np.stack(both, axis=1) for both in shifts]).astype(np.int64)
    pairs = np.unique(pairs[(pairs > 0).all(axis=1)], axis=0)
    shifted: Pairs = pairs - 1 + np.array([a_offset, b_offset])
    return shifted


def _numbers(first: NDArray[np.int64], pairs: Pairs) -> NDArray[np.int32]:
    """Give joined seeds one number, in the order of their first pixels."""
    parents = np.arange(len(first))

    def root(seed: int) -> int:
        while parents[seed] != seed:
            parents[seed] = parents[parents[seed]]
            seed = int(parents[seed])
        return seed

    for a, b in pairs.tolist():
        one, other = root(a), root(b)
        if first[other] < first[one]:  # the one with the first pixel stands for both
            one, other = other, one
        parents[other] = one
    roots = np.array([root(seed) for seed in range(len(first))], np.int64)
    _, order = np.unique(first[roots], return_inverse=True)
    return (order.reshape(-1) + 1).astype(np.int32)
