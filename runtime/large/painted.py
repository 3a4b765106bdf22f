"""The labels of prompted objects in an image of any size: painted band by band.

In: masks cut out of the image. Out: bands of labels, as ``Result`` has them. Called by the
``prompt`` verb.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from samzoo.runtime.arrays import Labels2D
from samzoo.runtime.geometry import Size
from samzoo.runtime.prompt_simulation import MaskPart

from .plan import BLOCK


class Painted:
    """Labels of parts, the largest first, so that small ones stay visible.

    Args:
        parts: Of the image; part i has label i + 1.
        size: (height, width) of the image.
    """

    band_height = BLOCK

    def __init__(self, parts: Sequence[MaskPart], size: Size) -> None:
        self._parts, self.size = list(parts), size
        self.dtype = np.dtype(np.uint16 if len(parts) < 2**16 else np.int32)

    def bands(self) -> Iterator[Labels2D]:
        """Return the labels from top to bottom, ``(rows, width)`` int32."""
        order = sorted(range(len(self._parts)), key=lambda i: -int(self._parts[i][2].sum()))
        for y in range(0, self.size[0], BLOCK):
            rows = min(BLOCK, self.size[0] - y)
            band = np.zeros((rows, self.size[1]), np.int32)
            for index in order:
                row, column, mask = self._parts[index]
                top, bottom = max(row, y), min(row + mask.shape[0], y + rows)
                if top < bottom:
                    part = mask[top - row : bottom - row]
                    place = band[top - y : bottom - y, column : column + mask.shape[1]]
                    place[part] = index + 1
            yield band
