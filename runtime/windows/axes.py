"""The meaning of a file's axes: rows and columns, colours, channels, planes.

In: a shape with a letter for each axis. Out: an index that picks one plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError, InputError

from .source import SourceSpec, Window


@dataclass(frozen=True)
class Planes:
    """How an array of several axes is cut into planes.

    Attributes:
        shape: The array's shape.
        axes: A letter for each axis: ``y`` and ``x`` are rows and columns, ``s`` colours of a
            pixel, ``c`` channels; any other letter counts planes.
        where: Begins each message.
    """

    shape: tuple[int, ...]
    axes: str
    where: str

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape) or "y" not in self.axes or "x" not in self.axes:
            raise ImageError(
                f"{self.where}: found axes {self.axes!r} for shape {self.shape}, expected one "
                "letter each with y and x among them"
            )

    @property
    def count(self) -> int:
        """Number of planes."""
        return math.prod(self.shape[i] for i in self._counting)

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Lengths of the axes that count planes, then height and width."""
        inner = (self.shape[self.axes.index("y")], self.shape[self.axes.index("x")])
        return (*(self.shape[i] for i in self._counting), *inner)

    @property
    def _counting(self) -> list[int]:
        return [i for i, axis in enumerate(self.axes) if axis not in "yxsc"]

    @property
    def _channel_axis(self) -> int | None:
        return self.axes.index("c") if "c" in self.axes else None

    def plane_shape(self, channel: int | None) -> tuple[int, ...]:
        """Return ``(height, width)`` or ``(height, width, colours)`` of a plane."""
        size = (self.shape[self.axes.index("y")], self.shape[self.axes.index("x")])
        if "s" in self.axes:
            return (*size, self.shape[self.axes.index("s")])
        return (*size, 3) if self._as_colours(channel) else size

    def _as_colours(self, channel: int | None) -> bool:
        """Three channels are colours if none is chosen, as in ``read_image``."""
        axis = self._channel_axis
        return axis is not None and channel is None and self.shape[axis] == 3

    def check(self, spec: SourceSpec) -> None:
        """Refuse a plane or channel that does not exist, or a missing choice of channel.

        Raises:
            InputError: The plane or channel does not exist, or a channel must be chosen.
        """
        axis = self._channel_axis
        channels = 1 if axis is None else self.shape[axis]
        if spec.channel is not None and not 0 <= spec.channel < channels:
            raise InputError(
                f"{self.where}: --channel: found {spec.channel}, the file has {channels}: 0 to "
                f"{channels - 1}"
            )
        if spec.channel is None and channels > 1 and not self._as_colours(spec.channel):
            raise InputError(
                f"{self.where}: has {channels} channels; choose the one to segment with --channel"
            )
        if not 0 <= spec.plane < self.count:
            raise InputError(
                f"{self.where}: plane {spec.plane} does not exist, the file has {self.count}"
            )

    def index(self, spec: SourceSpec, window: Window) -> tuple[int | slice, ...]:
        """Return the index of a window of a plane in the array."""
        y0, x0, y1, x1 = window
        counting = self._counting
        plane = np.unravel_index(spec.plane, [self.shape[i] for i in counting] or [1])
        numbers = dict(zip(counting, (int(i) for i in plane), strict=False))
        found: list[int | slice] = []
        for i, axis in enumerate(self.axes):
            if axis == "y":
                found.append(slice(y0, y1))
            elif axis == "x":
                found.append(slice(x0, x1))
            elif axis == "c" and not self._as_colours(spec.channel):
                found.append(spec.channel or 0)
            else:
                found.append(numbers.get(i, slice(None)))
        return tuple(found)

    def ordered(self, window: NDArray[Any], spec: SourceSpec) -> NDArray[Any]:
        """Bring the axes of an indexed window into the order rows, columns, colours."""
        kept = [a for a in self.axes if a in "yxs" or (a == "c" and self._as_colours(spec.channel))]
        order = [kept.index("y"), kept.index("x")]
        return window.transpose(order + [i for i in range(len(kept)) if i not in order])
