"""The labels of prompted objects in an image of any size, painted band by band.

In: masks cut out of the image. Out: bands of labels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.reading import label_dtype
from samzoo.runtime.pieces.plan import BLOCK
from samzoo.runtime.prompts.cutouts import MaskPart, largest_first, paint_parts


class Painted:
    """Labels of cut-out masks; the largest is painted first, so that small ones stay visible.

    Args:
        parts: The masks; part i has label i + 1.
        size: (height, width) of the image.
    """

    band_height = BLOCK

    def __init__(self, parts: Sequence[MaskPart], size: Size) -> None:
        self._parts, self.size, self.count = list(parts), size, len(parts)
        self.dtype = label_dtype(len(parts))

    def bands(self) -> Iterator[Labels2D]:
        """Yield the labels from top to bottom, ``(rows, width)`` int32."""
        height, width = self.size
        order = largest_first(self._parts)
        for row in range(0, height, BLOCK):
            shape = (min(BLOCK, height - row), width)
            yield paint_parts(self._parts, shape, first_row=row, order=order)
