"""The finished objects of a large image, read band by band, with their final numbers.

In: the pieces ``objects`` of all blocks. Out: bands of labels and a table of the objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.images.reading import label_dtype

from .numbering import read_numbers
from .object_steps import OBJECTS
from .plan import Plan
from .work import WorkFolder


class Result:
    """The labels of the whole image, without objects that are too small.

    Args:
        plan: The image's plan.
        work: The work folder, with the objects of all blocks.
    """

    plane_axes = ""

    def __init__(self, plan: Plan, work: WorkFolder) -> None:
        self._plan, self._work = plan, work
        areas = np.zeros(read_numbers(work).count + 1, np.int64)
        for index in range(plan.blocks):
            piece = work.read(OBJECTS, index)
            areas[piece["ids"]] += piece["areas"]
        # As in ``ais.segment_from_maps``: numbers have gaps only if nothing is removed.
        keep = areas >= max(plan.ais.min_size, 1)
        keep[0] = False
        self.count = int(keep.sum())
        self._numbers: NDArray[np.int32] = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
        self.size = plan.size
        self.dtype = label_dtype(self.count)

    @property
    def band_height(self) -> int:
        """Rows of a band; the last band may have fewer."""
        return self._plan.block

    @property
    def planes(self) -> tuple[int, ...]:
        """Empty, because an image has one plane."""
        return ()

    def windows(self) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
        """Yield plane, first row and labels of each band, in the dtype to write."""
        row = 0
        for band in self.bands():
            yield (), row, band.astype(self.dtype)
            row += len(band)

    def bands(self) -> Iterator[Labels2D]:
        """Yield the labels from top to bottom, ``(rows, width)`` int32."""
        rows, columns = self._plan.grid
        for row in range(rows):
            pieces = [
                self._work.read(OBJECTS, row * columns + column)["labels"]
                for column in range(columns)
            ]
            yield self._numbers[np.concatenate(pieces, axis=1)]
