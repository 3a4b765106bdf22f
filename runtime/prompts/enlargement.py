"""From low-res logits to masks at image size, computed only where a mask can lie.

In: one mask's ``low_res_logits``, and sizes. Out: the part of the image that holds the mask.

Segment-anything enlarges the logits to the network's square, cuts the padding off and resizes to
the image, bilinearly both times. Each step is a weighted mean of neighbours, with the same weights
in every row and in every column. So rows and columns can be done one after the other, and a pixel
between logits below a threshold lies below it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Float2D, Masks
from samzoo.runtime.images.geometry import Size

BLOCK_ROWS = 64
"""Rows enlarged at a time; a block of them stays in the processor's cache (own choice)."""


@dataclass(frozen=True)
class Axis:
    """The weights along one side of the image: each pixel is a mean of low-res logits.

    Attributes:
        indices: ``(length, k)``: the logits whose mean a pixel is.
        weights: ``(length, k)`` float32; each row sums to 1.
        first: ``(length,)``: the smallest index of each pixel; it never decreases.
        last: ``(length,)``: the largest index of each pixel.
    """

    indices: NDArray[np.intp]
    weights: NDArray[np.float32]
    first: NDArray[np.intp]
    last: NDArray[np.intp]


@dataclass(frozen=True)
class Enlargement:
    """The two axes' weights, for all masks of one tile."""

    rows: Axis
    columns: Axis

    @classmethod
    def between(
        cls, side: int, image_size: int, input_size: Size, original_size: Size
    ) -> Enlargement:
        """Prepare the weights.

        Args:
            side: Side of the low-res logits.
            image_size: Side of the square that the encoder sees.
            input_size: (height, width) of the image inside that square.
            original_size: (height, width) of the image or tile.
        """
        rows, columns = (
            _axis(side, image_size, kept, length)
            for kept, length in zip(input_size, original_size, strict=True)
        )
        return cls(rows, columns)

    @property
    def size(self) -> Size:
        """(height, width) of the image or tile."""
        return len(self.rows.indices), len(self.columns.indices)


@dataclass(frozen=True)
class Window:
    """The part of an image where the logits of a mask may lie above a threshold.

    Attributes:
        row: Row of its first pixel.
        column: Column of its first pixel.
        logits: ``(height, width)`` float32; no logit outside the window is above the threshold.
    """

    row: int
    column: int
    logits: Float2D


def enlarge(logits: Float2D, enlargement: Enlargement, *, above: float) -> Window:
    """Enlarge one mask's logits where they may lie above a value.

    Args:
        logits: ``(side, side)`` float32.
        enlargement: From ``Enlargement.between``.
        above: Pixels outside the window have logits of at most this value.

    Returns:
        The window; its shape is (0, 0) if no logit lies above.

    Source:
        Equals, up to rounding, the two calls of ``interpolate`` in segment-anything 1.0,
        ``modeling/sam.py``, ``postprocess_masks``.
    """
    spans = _spans(logits, enlargement, above)
    if spans is None:
        return Window(0, 0, np.zeros((0, 0), np.float32))
    (top, bottom), (left, right) = spans
    window = np.empty((bottom - top, right - left), np.float32)
    for start, block in _blocks(logits, enlargement, spans):
        window[start : start + len(block)] = block
    return Window(top, left, window)


def draw_mask(logits: Float2D, enlargement: Enlargement, threshold: float, out: Masks) -> None:
    """Draw one mask at image size.

    Args:
        logits: ``(side, side)`` float32.
        enlargement: From ``Enlargement.between``.
        threshold: The mask holds the pixels whose logits lie above it.
        out: ``(height, width)`` bool, all False; the mask is drawn into it.
    """
    spans = _spans(logits, enlargement, threshold)
    if spans is None:
        return
    (top, bottom), (left, right) = spans
    window = out[top:bottom, left:right]
    for start, block in _blocks(logits, enlargement, spans):
        np.greater(block, threshold, out=window[start : start + len(block)])


_Span = tuple[int, int]


def _spans(logits: Float2D, enlargement: Enlargement, above: float) -> tuple[_Span, _Span] | None:
    """Return the rows and the columns of the image between which pixels above a value lie."""
    higher = logits > above
    rows, columns = np.flatnonzero(higher.any(axis=1)), np.flatnonzero(higher.any(axis=0))
    if not len(rows):
        return None
    spans = _span(enlargement.rows, rows), _span(enlargement.columns, columns)
    return None if any(start >= stop for start, stop in spans) else spans


def _span(axis: Axis, found: NDArray[np.intp]) -> _Span:
    """Return the span of pixels that depend on logits between the first and the last found."""
    start = np.searchsorted(axis.last, found[0])
    return int(start), int(np.searchsorted(axis.first, found[-1], side="right"))


def _blocks(
    logits: Float2D, enlargement: Enlargement, spans: tuple[_Span, _Span]
) -> Iterator[tuple[int, Float2D]]:
    """Yield the enlarged window some rows at a time, with the number of the first."""
    (top, bottom), (left, right) = spans
    rows, columns = enlargement.rows, enlargement.columns
    first, last = rows.first[top], rows.last[top:bottom].max()
    wide = logits[first : last + 1]
    # Columns come first, while there are few rows.
    wide = _mean(wide, columns.indices[left:right], columns.weights[left:right], axis=1)
    for start in range(top, bottom, BLOCK_ROWS):
        block = slice(start, min(start + BLOCK_ROWS, bottom))
        yield start - top, _mean(wide, rows.indices[block] - first, rows.weights[block], axis=0)


def _mean(
    values: Float2D, indices: NDArray[np.intp], weights: NDArray[np.float32], *, axis: int
) -> Float2D:
    """Return weighted means of rows (axis 0) or columns (axis 1)."""
    shape = (-1, 1) if axis == 0 else (1, -1)
    total = np.take(values, indices[:, 0], axis) * weights[:, 0].reshape(shape)
    for k in range(1, indices.shape[1]):
        part = np.take(values, indices[:, k], axis)
        part *= weights[:, k].reshape(shape)
        total += part
    return total


def _axis(side: int, image_size: int, kept: int, length: int) -> Axis:
    """Join the two resizings along one side: ``side`` to ``image_size``, ``kept`` to ``length``."""
    indices, weights = _taps(side, image_size)
    if kept != length:
        outer, outer_weights = _taps(kept, length)
        indices = indices[outer].reshape(length, -1)
        weights = (weights[outer] * outer_weights[..., None]).reshape(length, -1)
    else:
        indices, weights = indices[:length], weights[:length]
    return Axis(indices, weights, indices.min(axis=1), indices.max(axis=1))


def _taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return each new pixel's two neighbours and weights ``(new, 2)``, as torch rounds them."""
    ratio = np.float32(old) / np.float32(new)
    position = ratio * (np.arange(new, dtype=np.float32) + np.float32(0.5)) - np.float32(0.5)
    position = np.maximum(position, np.float32(0))
    low = np.minimum(position.astype(np.intp), old - 1)
    share = np.clip(position - low.astype(np.float32), 0, 1)
    high = np.minimum(low + 1, old - 1)
    return np.stack([low, high], axis=1), np.stack([1 - share, share], axis=1)
