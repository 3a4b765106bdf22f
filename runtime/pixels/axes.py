"""The meaning of a file's axes: rows and columns, colours, channels, planes.

In: a shape with a letter for each axis, and a user's choice. Out: an index that picks one plane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError, InputError

from .channels import COLOURS, channel_number, listed
from .reader import Window
from .source_spec import SourceSpec


@dataclass(frozen=True)
class Planes:
    """How an array of several axes is cut into planes, and which of them is chosen.

    Attributes:
        shape: The array's shape.
        axes: A letter for each axis: ``y`` and ``x`` are rows and columns, ``s`` samples of a
            pixel that belong together, ``c`` channels; any other letter counts planes.
        spec: The user's choice; its ``path`` begins each message.
        names: Names of the channels, as far as the file has any.
        coloured: The axis ``c`` holds red, green and blue.

    Raises:
        ImageError: The axes do not fit the shape, or a plane or channel must be chosen.
        InputError: The chosen plane or channel does not exist.
    """

    shape: tuple[int, ...]
    axes: str
    spec: SourceSpec
    names: tuple[str, ...] = ()
    coloured: bool = False

    def __post_init__(self) -> None:
        if len(self.axes) != len(self.shape) or "y" not in self.axes or "x" not in self.axes:
            raise ImageError(
                f"{self.where}: found axes {self.axes!r} for shape {self.shape}, expected one "
                "letter each with y and x among them"
            )
        if self.spec.channel is not None and self.channels > 1:
            channel_number(self.spec.channel, self.channel_names, self.where)
        if self.spec.plane is not None and not 0 <= self.spec.plane < self.count:
            raise InputError(
                f"{self.where}: --plane: plane {self.spec.plane} does not exist, the file has "
                f"{self.count}: 0 to {self.count - 1}"
            )
        choices = []
        if self.spec.plane is None and self.count > 1:
            choices.append(
                f"one of {self.count} planes with --plane, from 0 to {self.count - 1} (samzoo "
                "segment takes all with --stack volume or --stack frames)"
            )
        if self.spec.channel is None and self.channels > 1 and not self.as_colours:
            choices.append(
                f"one of {self.channels} channels with --channel: {listed(self.channel_names)}"
            )
        if choices:
            found = zip(self.axes.upper(), self.shape, strict=True)
            raise ImageError(
                f"{self.where}: found a stack or several channels of shape {self.shape} (axes: "
                f"{', '.join(f'{name} {size}' for name, size in found)}); choose "
                f"{', and '.join(choices)}"
            )

    @property
    def where(self) -> str:
        """Begins each message."""
        return self.spec.path

    @property
    def count(self) -> int:
        """Number of planes."""
        return math.prod(self.shape[i] for i in self._counting)

    @property
    def channels(self) -> int:
        """Number of channels that are not samples of a pixel."""
        return self.shape[self.axes.index("c")] if "c" in self.axes else 1

    @property
    def channel_names(self) -> tuple[str, ...]:
        """A name for each channel; those without one are empty."""
        if self.coloured and not any(self.names):
            return COLOURS
        return tuple(self.names[i] if i < len(self.names) else "" for i in range(self.channels))

    @property
    def channel(self) -> int:
        """Number of the chosen channel; 0 if there is no choice."""
        if self.spec.channel is None or self.channels == 1:
            return 0
        return channel_number(self.spec.channel, self.channel_names, self.where)

    @property
    def as_colours(self) -> bool:
        """Whether the three channels are read as RGB."""
        return self.coloured and self.channels == len(COLOURS) and self.spec.channel is None

    @property
    def stack_shape(self) -> tuple[int, ...]:
        """Lengths of the axes that count planes, then height and width."""
        return (*(self.shape[i] for i in self._counting), *self.size)

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.shape[self.axes.index("y")], self.shape[self.axes.index("x")]

    @property
    def plane_shape(self) -> tuple[int, ...]:
        """``(height, width)``, or ``(height, width, samples)``."""
        if "s" in self.axes:
            return (*self.size, self.shape[self.axes.index("s")])
        return (*self.size, len(COLOURS)) if self.as_colours else self.size

    @property
    def _counting(self) -> list[int]:
        return [i for i, axis in enumerate(self.axes) if axis not in "yxsc"]

    def index(self, window: Window) -> tuple[int | slice, ...]:
        """Return the index of a window of the chosen plane in the array."""
        y0, x0, y1, x1 = window
        counting = self._counting
        plane = np.unravel_index(self.spec.plane or 0, [self.shape[i] for i in counting] or [1])
        numbers = dict(zip(counting, (int(i) for i in plane), strict=False))
        found: list[int | slice] = []
        for i, axis in enumerate(self.axes):
            if axis == "y":
                found.append(slice(y0, y1))
            elif axis == "x":
                found.append(slice(x0, x1))
            elif axis == "c" and not self.as_colours:
                found.append(self.channel)
            else:
                found.append(numbers.get(i, slice(None)))
        return tuple(found)

    def ordered(self, window: NDArray[Any]) -> NDArray[Any]:
        """Bring the axes of an indexed window into the order rows, columns, samples."""
        kept = [a for a in self.axes if a in "yxs" or (a == "c" and self.as_colours)]
        order = [kept.index("y"), kept.index("x")]
        return window.transpose(order + [i for i in range(len(kept)) if i not in order])
