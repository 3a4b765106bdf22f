"""Transparency: alpha channels that say something, and those that do not.

In: the alpha of a picture. Out: an error if part of the picture shows through, else nothing.

An alpha that is the same everywhere, as most programs write it, leaves the picture as it is. Where
it differs, what a viewer shows depends on the background that it happens to have, so such a
picture is refused (own choice: black is right for fluorescence, white for histology).
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.arrays import Array


class AlphaCheck:
    """Checks the alpha of one picture, window by window.

    Args:
        where: Names the picture in messages.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._expected: np.generic | None = None

    def __call__(self, alpha: Array) -> None:
        """Refuse an alpha that differs from what was seen of this picture before.

        Args:
            alpha: ``(height, width)``, any numbers.

        Raises:
            ImageError: The alpha is not the same everywhere.
        """
        if alpha.size == 0:
            return
        if self._expected is None:
            self._expected = alpha.flat[0]
        if (alpha != self._expected).any():
            raise ImageError(
                f"{self._where}: parts of the picture are transparent, and what lies behind them "
                "is not known; flatten the picture onto a background and save it without "
                "transparency (in GIMP: Image > Flatten Image; in Fiji: Image > Type > RGB Color)"
            )
