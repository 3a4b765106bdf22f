"""A multiscale OME-Zarr group: level 0 is written by windows, each next level from the last.

In: windows of an image or of labels. Out: arrays and their metadata. Metadata: OME-NGFF 0.4 (in
Zarr version 2) and 0.5 (in version 3), sections multiscales and image-label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.dependencies import require

from .averaging import block_means

CHUNK = 512
"""Most rows and columns of a chunk, and of the smallest level (own choice)."""


@dataclass(frozen=True)
class Layout:
    """The layout of a group that is written.

    Attributes:
        version: The OME-Zarr version, ``0.4`` or ``0.5``.
        axes: Metadata of the axes. The last two are y and x; colours lie before them.
        scale: Pixel sizes of level 0, one for each axis.
        chunk: Rows and columns of a chunk.
    """

    version: str
    axes: Sequence[Mapping[str, Any]]
    scale: Sequence[float]
    chunk: int = CHUNK

    @property
    def zarr_format(self) -> Literal[2, 3]:
        """The version of the Zarr format."""
        return 2 if self.version == "0.4" else 3


class Pyramid:
    """A group that is being written, level by level.

    Args:
        group: An empty group.
        layout: The group's layout.
        shape: The shape of level 0.
        dtype: The values' dtype.
        labels: True if values are labels: a level then keeps every second pixel instead of means.
    """

    def __init__(
        self,
        group: Any,
        layout: Layout,
        shape: Sequence[int],
        dtype: np.dtype[Any],
        *,
        labels: bool,
    ) -> None:
        self._group, self._layout, self._labels = group, layout, labels
        self._levels = [self._array(0, tuple(shape), dtype)]

    def write(self, plane: tuple[int | slice, ...], y: int, x: int, values: NDArray[Any]) -> None:
        """Write a window of level 0.

        Args:
            plane: Index into the axes before the last two.
            y: The window's first row.
            x: The window's first column.
            values: Values with the axes that ``plane`` keeps.
        """
        height, width = values.shape[-2:]
        self._levels[0][(*plane, slice(y, y + height), slice(x, x + width))] = values

    def finish(self, more: Mapping[str, Any] | None = None) -> None:
        """Write the other levels and the metadata.

        Args:
            more: Entries beside ``multiscales``.
        """
        while max(self._levels[-1].shape[-2:]) > self._layout.chunk:
            self._halve()
        first = self._levels[0].shape
        datasets = []
        for number, level in enumerate(self._levels):
            factors = [a / b for a, b in zip(first[-2:], level.shape[-2:], strict=True)]
            scale = list(self._layout.scale)
            scale[-2:] = [s * round(f) for s, f in zip(scale[-2:], factors, strict=True)]
            transforms = [{"type": "scale", "scale": scale}]
            datasets.append({"path": str(number), "coordinateTransformations": transforms})
        multiscale = {"axes": [dict(axis) for axis in self._layout.axes], "datasets": datasets}
        set_metadata(self._group, self._layout.version, multiscale, more or {})

    def _halve(self) -> None:
        above = self._levels[-1]
        *lead, height, width = above.shape
        below = self._array(
            len(self._levels), (*lead, (height + 1) // 2, (width + 1) // 2), above.dtype
        )
        rows = 2 * self._layout.chunk
        for index in np.ndindex(*lead):
            for y in range(0, height, rows):
                band = np.asarray(above[(*index, slice(y, y + rows), slice(None))])
                half = band[::2, ::2] if self._labels else _half(band)
                below[(*index, slice(y // 2, y // 2 + half.shape[0]), slice(None))] = half
        self._levels.append(below)

    def _array(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
        chunk = self._layout.chunk
        names = [str(axis["name"]) for axis in self._layout.axes]
        version = self._layout.zarr_format
        options: dict[str, Any] = {"dimension_names": names} if version == 3 else {
            "chunk_key_encoding": {"name": "v2", "separator": "/"}
        }  # fmt: skip
        sides = [min(chunk, length) for length in shape[-2:]]
        chunks = (*(1 for _ in shape[:-2]), *sides)
        return self._group.create_array(
            str(number), shape=shape, chunks=chunks, dtype=dtype, **options
        )


def _half(band: NDArray[Any]) -> NDArray[Any]:
    means = block_means(band, 2)
    if band.dtype.kind in "iu":
        means = np.round(means)
    result: NDArray[Any] = means.astype(band.dtype)
    return result


def set_metadata(
    group: Any, version: str, multiscale: Mapping[str, Any], more: Mapping[str, Any]
) -> None:
    """Write a group's attributes as its OME-Zarr version wants them."""
    if version == "0.4":
        group.attrs.update({"multiscales": [{"version": "0.4", **multiscale}], **more})
    else:
        group.attrs["ome"] = {"version": version, "multiscales": [multiscale], **more}


def make_group(folder: str, version: str) -> Any:
    """Make an empty group in a folder."""
    zarr = require("zarr", extra="large")
    return zarr.open_group(folder, mode="w", zarr_format=2 if version == "0.4" else 3)
