"""RGB pictures in which only one channel holds anything: grey pictures, shown in a colour.

In: a picture, or its windows one by one. Out: the number of that channel, and the picture as grey.

Microscopes export one stain as RGB with the stain's colour. Models see grey pictures in all three
channels alike, so such a picture in one channel of three is another picture to them: of 40 nuclei
in blue a model found 1. The runtime and training share this rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.pixels.channels import COLOURS

EMPTY = 1 / 16
"""A channel is empty if its standard deviation is less than this share of the largest. (Own choice:
JPEG leaves up to 0.051 in the other channels of fluorescence images in one, at quality 75.)"""

FAINT = 1 / 2
"""Below this share a channel may hold only a scale bar or another stain (own choice: histology and
photographs vary alike in all three)."""

_PIXELS = 2**20
"""Pixels that are summed at once, which bounds the memory (own choice)."""


class ChannelLook:
    """How much each channel of a picture varies, seen window by window."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: NDArray[Any] = np.zeros((2, 3))

    def add(self, window: Array) -> None:
        """Take a window ``(height, width, 3)`` into account."""
        rows = max(1, _PIXELS // max(1, window.shape[1]))
        for start in range(0, len(window), rows):
            values = window[start : start + rows].reshape(-1, 3).astype(np.float64)
            self._count += len(values)
            self._sums += values.sum(axis=0), np.square(values).sum(axis=0)

    def outstanding(self, share: float) -> int | None:
        """Return the one channel beside which all others vary less than ``share`` as much."""
        if not self._count:
            return None
        mean, square = self._sums / self._count
        spread = np.sqrt(np.maximum(square - mean**2, 0))
        full = np.flatnonzero(spread > share * spread.max())
        return int(full[0]) if len(full) == 1 else None


def only_channel(windows: Iterable[Array]) -> int | None:
    """Find the only channel of a picture that is not empty.

    Args:
        windows: Windows that make up the picture, ``(height, width)`` or ``(height, width, 3)``.

    Returns:
        0, 1 or 2; None if the picture is grey, if several channels hold something, or none does.
    """
    look = ChannelLook()
    for window in windows:
        if window.ndim == 2:
            return None
        look.add(window)
    return look.outstanding(EMPTY)


def without_empty_channels(image: Array) -> Array:
    """Return the only channel that is not empty as a grey picture, and any other picture as it is.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, checked.
    """
    return with_notes(image)[0]


def with_notes(image: Array) -> tuple[Array, list[str]]:
    """Return a picture as ``without_empty_channels`` does, with what a user should know of it.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, checked.

    Returns:
        The picture, and a sentence if it is read as grey, or if one channel of its colours holds
        most and may be the one stain.
    """
    if image.ndim == 2:
        return image, []
    look = ChannelLook()
    look.add(image)
    channel = look.outstanding(EMPTY)
    if channel is not None:
        return image[..., channel], [note_on(channel)]
    channel = look.outstanding(FAINT)
    if channel is None:
        return image, []
    name = COLOURS[channel]
    return image, [
        f"the {name} channel varies more than twice as much as the others; the picture was read in "
        f"colours: if {name} is the stain to segment, and the rest a scale bar or text, pass "
        f"--channel {name}"
    ]


def note_on(channel: int) -> str:
    """Tell a user which channel is read."""
    return f"only the {COLOURS[channel]} channel holds anything; it was read as a grey image"
