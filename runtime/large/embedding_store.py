"""Embeddings stored on disk, tile by tile, so that no image is encoded twice.

In: a model and an image of any size. Out: ``ImageEmbeddings`` whose tiles are read from the store,
or computed at first use and then stored.

Layout::

    KEY/info.json              format, weights digest, preprocessing, image hash, tiles
    KEY/tile_000000.safetensors  image_embeddings (256, grid, grid) of one tile
    images/NAME.json           hash and limits of a file, by path, size and time of change

``KEY`` is the digest of everything that the values depend on, so that another image, model or tile
grid has another folder. A file gets its name when it is complete. Any number of processes may
share a store; two that compute the same tile write the same values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import encode_window, whole_or_tiles
from samzoo.runtime.engine.tile_values import LazyTiles
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.arrays import Array, Float3D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.digest import json_digest
from samzoo.runtime.formats.fields import check_format, to_json
from samzoo.runtime.formats.files import read_json, read_tensors, write_json, write_tensors
from samzoo.runtime.images.empty_channels import note_on, without_empty_channels
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import to_0_255
from samzoo.runtime.images.reading import check_image
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.channels import COLOURS
from samzoo.runtime.pixels.reader import ArrayReader
from samzoo.runtime.pixels.source_spec import SourceSpec, identity
from samzoo.runtime.windows.limits import Limits, image_limits
from samzoo.runtime.windows.opening import open_full_channels, open_source
from samzoo.runtime.windows.source import ImageSource

FORMAT, VERSION = "samzoo-embedding-store", 1

TENSOR = "image_embeddings"

LIMITS_VERSION = 2
"""How limits are found; what a store says of a file from an earlier version is not used."""


@dataclass(frozen=True)
class _Known:
    """The facts about a whole image that are needed before its first tile is encoded."""

    sha256: str
    limits: Limits


class EmbeddingStore:
    """A folder of embeddings.

    Args:
        folder: The folder; it is made when the first tile is written.

    Attributes:
        notes: Sentences for the user about images that were embedded.

    Example:
        >>> from samzoo.runtime import EmbeddingStore, load
        >>> store = EmbeddingStore("embeddings")
        >>> embeddings = store.embed(load("package"), image)  # doctest: +SKIP
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.notes: list[str] = []

    def embed(
        self,
        model: Model,
        image: Array | SourceSpec,
        *,
        tile_shape: Size | None = None,
        halo: Size | None = None,
        tiled: bool = False,
        encoded: Callable[[int], None] | None = None,
    ) -> ImageEmbeddings:
        """Return the embeddings of an image; each tile is encoded when it is needed.

        Args:
            model: The model that encodes. Later tiles are encoded with the adapter in use now.
            image: ``(height, width)`` or ``(height, width, 3)``, or a file of any size.
            tile_shape: (height, width) of the inner tiles, as in ``Model.embed``.
            halo: (height, width) around each tile, as in ``Model.embed``.
            tiled: Cut an image that is larger than the field of view into tiles even if the model
                has no declared scale, as ``Model.embed_tiles`` does.
            encoded: Called with a tile's number when the tile had to be encoded.

        Returns:
            Embeddings for prompts, AIS and AMG; their values equal those of ``Model.embed``.

        Raises:
            ImageError: The image cannot be used.
            InputError: A halo is given, and the image is not tiled.
            ShapeError: A tile with its halo does not fit the model's field of view.
            FormatError: A file of the store is damaged; the message says which one to delete.
            StorageError: The disk is full or the folder cannot be written.
        """
        config, networks = model.config, model.networks
        if isinstance(image, SourceSpec):
            image = self._with_full_channels(image)
        else:
            image = without_empty_channels(check_image(image))
        opened = _opener(image)
        with opened() as source:
            known = (
                self._known_file(image, source, config)
                if isinstance(image, SourceSpec)
                else _look_at(source, config)
            )
            size = source.size
        tiles = whole_or_tiles(config, size, tile_shape, halo, shrink=not tiled)
        folder = self._folder_of(config, known, size, tiles)

        def tile_values(index: int) -> Float3D:
            path = folder / f"tile_{index:06d}.safetensors"
            if path.is_file():
                return _read_tile(path, config.grid)
            with opened() as source:
                window = source.read(tiles[index].outer)
            pixels = to_0_255(window, config.preprocessing, known.limits.stretch)
            values: Float3D = encode_window(networks, config, pixels)[0]
            write_tensors(path, {TENSOR: values}, {})
            if encoded is not None:
                encoded(index)
            return values

        return ImageEmbeddings(
            LazyTiles(len(tiles), config.grid, tile_values),
            tuple(tiles),
            size,
            config.weights_digest,
            known.limits.constant,
            config.preprocessing.scale,
        )

    def _with_full_channels(self, spec: SourceSpec) -> SourceSpec:
        """Choose the only channel that is not empty; a file is looked at once."""
        question = {"source": asdict(spec), "state": identity(spec.path), "look": "channels"}
        name = json_digest(question).removeprefix("sha256:")[:32]
        path = self.folder / "images" / f"{name}.json"
        if path.is_file():
            channel = read_json(path).get("channel")
        else:
            chosen, source = open_full_channels(spec)
            source.close()
            channel = None if chosen == spec else COLOURS.index(str(chosen.channel))
            write_json(path, {"format": {"name": FORMAT, "version": VERSION}, "channel": channel})
        if not isinstance(channel, int) or channel not in range(len(COLOURS)):
            return spec
        self.notes.append(f"{spec.path}: {note_on(channel)}")
        return replace(spec, channel=COLOURS[channel])

    def _folder_of(self, config: ModelConfig, known: _Known, size: Size, tiles: list[Tile]) -> Path:
        """Return the folder of one image, model and grid; make it with its description."""
        info: dict[str, Any] = {
            "format": {"name": FORMAT, "version": VERSION},
            "weights_digest": config.weights_digest,
            "preprocessing": to_json(config.preprocessing),
            "image_sha256": known.sha256,
            "original_size": list(size),
            "tiles": to_json(tuple(tiles)),
        }
        if known.limits.outliers is not None or known.limits.border:
            info["limits"] = asdict(known.limits)
        folder = self.folder / json_digest(info).removeprefix("sha256:")[:32]
        path = folder / "info.json"
        if not path.is_file():
            write_json(path, info)
        elif read_json(path) != info:
            raise FormatError(f"{path}: has changed since it was written; delete {folder}")
        return folder

    def _known_file(self, spec: SourceSpec, source: ImageSource, config: ModelConfig) -> _Known:
        """Return the facts about a file, computed once as long as it does not change."""
        question = {
            "source": asdict(spec), "state": identity(spec.path),
            "preprocessing": to_json(config.preprocessing), "limits": LIMITS_VERSION,
        }  # fmt: skip
        name = json_digest(question).removeprefix("sha256:")[:32]
        path = self.folder / "images" / f"{name}.json"
        if path.is_file():
            found = read_json(path)
            check_format(found, FORMAT, VERSION, where=str(path))
            try:
                return _Known(str(found["sha256"]), Limits(**found["limits"]))
            except (KeyError, TypeError) as error:
                raise FormatError(f"{path}: is damaged ({error}); delete it") from error
        known = _look_at(source, config)
        header = {"format": {"name": FORMAT, "version": VERSION}}
        write_json(path, {**header, "sha256": known.sha256, "limits": asdict(known.limits)})
        return known


def _opener(
    image: Array | SourceSpec,
) -> Callable[[], AbstractContextManager[ImageSource]]:
    """Open an image for each reading, so that no file stays open between prompts."""
    if isinstance(image, SourceSpec):
        return lambda: closing(open_source(image))
    source = ImageSource(ArrayReader(image), "image")
    return lambda: nullcontext(source)


def _look_at(source: ImageSource, config: ModelConfig) -> _Known:
    """Hash the pixels of an image, and find the limits of its intensities."""
    found = hashlib.sha256(f"{source.size} {source.channels} {source.dtype.str}".encode())
    for _, _, window in source.windows():
        found.update(np.ascontiguousarray(window).data)
    return _Known(found.hexdigest(), image_limits(source, config.preprocessing))


def _read_tile(path: Path, grid: int) -> Float3D:
    values = read_tensors(path).get(TENSOR)
    expected = (EMBEDDING_CHANNELS, grid, grid)
    if values is None or values.dtype != np.float32 or values.shape != expected:
        raise FormatError(f"{path}: {TENSOR}: expected float32 {expected}; delete the file")
    return values
