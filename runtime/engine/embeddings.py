"""The image embeddings of one image, in memory and on disk.

In: the encoder's output, tile by tile. Out: an ``ImageEmbeddings``, which prompts and the AIS
decoder read, and which is saved as safetensors.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samzoo.runtime.budgets import MAX_PIXELS
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.fields import check_format, from_json, parse_json, to_json
from samzoo.runtime.formats.files import read_metadata, read_tensors, write_tensors
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.tiles import Tile

from .tile_values import TileValues

FORMAT, VERSION = "samzoo-embeddings", 1


@dataclass(frozen=True)
class ImageEmbeddings:
    """The encoder's output for one image.

    Attributes:
        values: ``(tiles, 256, grid, grid)`` float32: an array, or tiles that are read or computed
            when they are asked for.
        tiles: Where each tile lies in the image; one tile may be the whole image.
        original_size: (height, width) of the image.
        weights_digest: Identity of the model that computed them; another model refuses them.
        constant: True if all pixels of the image are equal, so that there is nothing to segment.
        scale: Model pixels an image pixel at which they were computed; None if the image's longest
            side was brought to the model's.
    """

    values: TileValues
    tiles: tuple[Tile, ...]
    original_size: Size
    weights_digest: str
    constant: bool = False
    scale: float | None = None

    def save(self, path: str | Path) -> None:
        """Write the embeddings as safetensors, atomically.

        Args:
            path: The file, which is replaced if it exists.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        description = {
            "format": {"name": FORMAT, "version": VERSION},
            "tiles": to_json(self.tiles),
            "original_size": list(self.original_size),
            "weights_digest": self.weights_digest,
            "constant": self.constant,
            "scale": self.scale,
        }
        write_tensors(
            Path(path),
            {"image_embeddings": np.asarray(self.values)},
            {"samzoo": json.dumps(description)},
        )

    @classmethod
    def load(cls, path: str | Path) -> ImageEmbeddings:
        """Read what ``save`` wrote.

        Args:
            path: The file.

        Returns:
            The same embeddings; the model that computed them accepts them.

        Raises:
            NotFoundError: There is no such file.
            FormatError: The file holds no embeddings, is from a newer samzoo, or is damaged.
        """
        path = Path(path)
        text = read_metadata(path).get("samzoo", "null")
        description = parse_json(text, where=str(path), kind="samzoo embeddings")
        if not isinstance(description, dict):
            raise FormatError(f"{path}: not a samzoo embeddings file")
        check_format(description, FORMAT, VERSION, where=str(path))
        if "scale" not in description:
            raise FormatError(
                f"{path}: does not say at which scale it was computed, as files of earlier "
                "versions; embed the image again"
            )
        values = read_tensors(path).get("image_embeddings")
        parsed = from_json(
            _Description,
            {key: value for key, value in description.items() if key != "format"},
            where=str(path),
        )
        if (
            values is None
            or values.dtype != np.float32
            or values.ndim != 4
            or values.shape[1] != EMBEDDING_CHANNELS
            or len(values) != len(parsed.tiles)
        ):
            found = "nothing" if values is None else f"{values.dtype} {values.shape}"
            raise FormatError(
                f"{path}: image_embeddings: expected float32 "
                f"({len(parsed.tiles)}, {EMBEDDING_CHANNELS}, grid, grid), found {found}"
            )
        _check_tiles(parsed.tiles, parsed.original_size, where=str(path))
        return cls(
            values, parsed.tiles, parsed.original_size, parsed.weights_digest, parsed.constant,
            parsed.scale,
        )  # fmt: skip


@dataclass(frozen=True)
class _Description:
    tiles: tuple[Tile, ...]
    original_size: Size
    weights_digest: str
    constant: bool
    scale: float | None


def _check_tiles(tiles: tuple[Tile, ...], size: Size, *, where: str) -> None:
    if min(size) < 1 or size[0] * size[1] > MAX_PIXELS:
        raise FormatError(f"{where}: original_size is {size}, allowed are 1 to {MAX_PIXELS} pixels")
    area = 0
    for tile in tiles:
        (top, left, bottom, right), (y0, x0, y1, x1) = tile.outer, tile.inner
        if not (
            0 <= top <= y0 < y1 <= bottom <= size[0] and 0 <= left <= x0 < x1 <= right <= size[1]
        ):
            raise FormatError(f"{where}: {tile} does not lie in an image of {size}")
        area += (y1 - y0) * (x1 - x0)
    if area != size[0] * size[1]:
        raise FormatError(f"{where}: the tiles cover {area} pixels of an image of {size}")
