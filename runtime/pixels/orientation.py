"""The orientation of a stored picture: which of its sides is the top.

In: a picture as stored and its orientation. Out: the picture as it is to be seen.

Source: TIFF 6.0, page 36, and EXIF 2.32, tag 274: where the first row and the first column of the
stored picture are seen. 1 top and left, 2 top and right, 3 bottom and right, 4 bottom and left, 5
left and top, 6 right and top, 7 right and bottom, 8 left and bottom.
"""

from __future__ import annotations

from samzoo.runtime.formats.arrays import Array

TAG = 274
"""TIFF's and EXIF's number of the tag."""

UPRIGHT = 1

_FLIPS = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}
"""Whether rows and columns are mirrored, after the axes are swapped for 5 to 8."""


def orientation_of(stated: object) -> int:
    """Return a stated orientation; upright where the value means nothing, as many zeros do."""
    return stated if isinstance(stated, int) and stated in _FLIPS else UPRIGHT


def swaps_axes(orientation: int) -> bool:
    """Tell whether rows of the stored picture are seen as columns."""
    return orientation >= 5


def turned(stored: Array, orientation: int) -> Array:
    """Turn a stored picture, or a window of it, as it is to be seen.

    Args:
        stored: ``(height, width)`` or ``(height, width, channels)``.
        orientation: 1 to 8.

    Returns:
        A view of ``stored``; height and width are swapped for 5 to 8.
    """
    seen = stored.swapaxes(0, 1) if swaps_axes(orientation) else stored
    rows, columns = _FLIPS[orientation]
    return seen[:: -1 if rows else 1, :: -1 if columns else 1]


def window_before(
    window: tuple[int, int, int, int], size: tuple[int, int], orientation: int
) -> tuple[int, int, int, int]:
    """Return the window of the stored picture that is seen as ``window``.

    Args:
        window: (y0, x0, y1, x1) in the picture as seen.
        size: (height, width) of the picture as seen.
        orientation: 1 to 8.
    """
    y0, x0, y1, x1 = window
    rows, columns = _FLIPS[orientation]
    if rows:
        y0, y1 = size[0] - y1, size[0] - y0
    if columns:
        x0, x1 = size[1] - x1, size[1] - x0
    return (x0, y0, x1, y1) if swaps_axes(orientation) else (y0, x0, y1, x1)
