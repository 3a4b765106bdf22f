"""Masks that were found automatically: measured, stored compactly, merged into labels.

In: low-res logits of one mask. Out: a ``Candidate``; from many of them a label image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from bioimage_cpp.segmentation import label
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Float2D, Labels2D, Masks
from samzoo.runtime.formats.config import MASK_THRESHOLD
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.prompts.cutouts import cut_out
from samzoo.runtime.prompts.enlargement import Enlargement, enlarge

from .ais import remove_small


@dataclass(frozen=True)
class Candidate:
    """One mask, with the numbers that segment-anything's generator gives it.

    Attributes:
        row: Row of the first pixel of its tight box.
        column: Column of that pixel.
        shape: (height, width) of the tight box, both at least 1.
        area: Number of pixels.
        predicted_iou: The model's own estimate of the mask's IoU.
        stability_score: IoU of the masks at a higher and a lower threshold.
        point: (x, y) of the prompted point, in pixels of the image.
    """

    row: int
    column: int
    shape: Size
    area: int
    predicted_iou: float
    stability_score: float
    point: tuple[float, float]
    _packed: NDArray[np.uint8] = field(repr=False)

    @classmethod
    def of(
        cls,
        mask: Masks,
        row: int,
        column: int,
        *,
        predicted_iou: float,
        stability_score: float,
        point: tuple[float, float],
    ) -> Candidate | None:
        """Cut a mask to its tight box and store it with one bit a pixel.

        Args:
            mask: ``(height, width)`` bool, part of an image.
            row: Row of its first pixel in the image.
            column: Column of that pixel.
            predicted_iou: The model's own estimate of the mask's IoU.
            stability_score: IoU of the masks at a higher and a lower threshold.
            point: (x, y) of the prompted point.

        Returns:
            The candidate, or None if the mask is empty.
        """
        first_row, first_column, tight = cut_out(mask)
        if not tight.size:
            return None
        return cls(
            row=row + first_row,
            column=column + first_column,
            shape=(tight.shape[0], tight.shape[1]),
            area=int(np.count_nonzero(tight)),
            predicted_iou=predicted_iou,
            stability_score=stability_score,
            point=point,
            _packed=np.packbits(tight),
        )

    @property
    def mask(self) -> Masks:
        """The mask within its tight box, ``shape`` bool."""
        height, width = self.shape
        bits = np.unpackbits(self._packed, count=height * width)
        return bits.view(np.bool_).reshape(self.shape)

    @property
    def box(self) -> tuple[int, int, int, int]:
        """XYXY of the first and the last pixels, as in segment-anything."""
        return (
            self.column,
            self.row,
            self.column + self.shape[1] - 1,
            self.row + self.shape[0] - 1,
        )

    def full(self, size: Size) -> Masks:
        """Draw the mask at image size.

        Args:
            size: (height, width) of the image.

        Returns:
            ``(height, width)`` bool.
        """
        image = np.zeros(size, np.bool_)
        image[self.window] = self.mask
        return image

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the tight box in the image."""
        return (
            slice(self.row, self.row + self.shape[0]),
            slice(self.column, self.column + self.shape[1]),
        )


def measure(
    logits: Float2D,
    enlargement: Enlargement,
    *,
    origin: tuple[int, int],
    predicted_iou: float,
    point: tuple[float, float],
    stability_score_offset: float = 1.0,
    stability_score_thresh: float = 0.0,
) -> Candidate | None:
    """Enlarge one mask and compute its stability.

    Args:
        logits: Low-res logits ``(side, side)``.
        enlargement: Enlarges the logits to the tile.
        origin: Row and column of the tile in the image.
        predicted_iou: The model's own estimate of the mask's IoU.
        point: (x, y) of the prompted point.
        stability_score_offset: Logits by which the threshold is raised and lowered.
        stability_score_thresh: A less stable mask gives None.

    Returns:
        The candidate, or None if the mask is empty or not stable enough.

    Source:
        segment-anything 1.0, ``utils/amg.py``, ``calculate_stability_score``.
    """
    offset = stability_score_offset
    window = enlarge(logits, enlargement, above=min(MASK_THRESHOLD - offset, MASK_THRESHOLD))
    inner = np.count_nonzero(window.logits > MASK_THRESHOLD + offset)
    outer = np.count_nonzero(window.logits > MASK_THRESHOLD - offset)
    stability = np.float32(inner) / np.float32(outer) if outer else np.float32(0)
    if stability < stability_score_thresh:
        return None
    return Candidate.of(
        window.logits > MASK_THRESHOLD,
        origin[0] + window.row,
        origin[1] + window.column,
        predicted_iou=predicted_iou,
        stability_score=float(stability),
        point=point,
    )


def merge_candidates(
    candidates: Sequence[Candidate],
    size: Size,
    *,
    min_size: int = 0,
    exclusively: bool,
    with_background: bool,
) -> Labels2D:
    """Paint masks into one label image, from the largest to the smallest.

    Args:
        candidates: The masks; they may overlap.
        size: (height, width) of the image.
        min_size: Smaller masks are not painted, and smaller objects are not kept.
        exclusively: Never paint over a larger mask; otherwise the smaller mask lies on top.
        with_background: Drop the largest segment if it is larger than the area that no mask
            covers, because a grid of points also finds the background.

    Returns:
        ``(height, width)`` int32: the 4-connected components of the painted labels, numbered from
        1 in raster order, 0 elsewhere.

    Source:
        micro-sam 1.8.14, ``util.mask_data_to_segmentation``. It numbers images of more than 512
        pixels a side block by block; the objects are the same.
    """
    painted = np.zeros(size, np.int32)
    for number, one in enumerate(sorted(candidates, key=lambda each: -each.area), start=1):
        if one.area < min_size:
            continue
        part, mask = painted[one.window], one.mask
        part[mask & (part == 0) if exclusively else mask] = number
    labels: Labels2D = label(painted, connectivity=1).astype(np.int32)
    if with_background:
        largest = int(np.argmax(np.bincount(labels.ravel())))
        labels[labels == largest] = 0
    return remove_small(labels, min_size)
