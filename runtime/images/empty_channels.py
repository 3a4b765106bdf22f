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


class ChannelLook:
    """How much each channel of a picture varies, seen window by window."""

    def __init__(self) -> None:
        self._count = 0
        self._sums: NDArray[Any] = np.zeros((2, 3))

    def add(self, window: Array) -> None:
        """Take a window ``(height, width, 3)`` into account."""
        values = window.reshape(-1, 3).astype(np.float64)
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
    channel = only_channel([image])
    return image if channel is None else image[..., channel]


def notes_on(image: Array) -> list[str]:
    """Tell a user of a picture in colours of which one channel holds most: is it one stain?

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.
    """
    if image.ndim == 2:
        return []
    look = ChannelLook()
    look.add(image)
    channel = look.outstanding(FAINT)
    if channel is None:
        return []
    name = COLOURS[channel]
    return [
        f"the {name} channel varies more than twice as much as the others; the picture was read in "
        f"colours: if {name} is the stain to segment, and the rest a scale bar or text, pass "
        f"--channel {name}"
    ]


def note_on(channel: int) -> str:
    """Tell a user which channel is read."""
    return f"only the {COLOURS[channel]} channel holds anything; it was read as a grey image"
