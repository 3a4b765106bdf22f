"""The AIS maps of a whole image, joined from the maps of its tiles.

In: embeddings and networks. Out: foreground, center_distances and boundary_distances at image
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import encode_tiles
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.architecture import AIS_CHANNELS
from samzoo.runtime.formats.arrays import Array, Float3D, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import input_size, interpolate
from samzoo.runtime.images.tiles import Tile


def decode_maps(networks: Networks, config: ModelConfig, embeddings: ImageEmbeddings) -> Float3D:
    """Decode the AIS maps of each tile and join their inner parts.

    Args:
        networks: The model's networks.
        config: The model's config.
        embeddings: Image embeddings that the model computed.

    Returns:
        ``(3, height, width)`` float32 in 0..1, in the order of ``AIS_CHANNELS``.
    """
    maps = np.zeros((len(AIS_CHANNELS), *embeddings.original_size), np.float32)
    for value, tile in zip(embeddings.values, embeddings.tiles, strict=True):
        y0, x0, y1, x1 = tile.inner
        maps[:, y0:y1, x0:x1] = tile_maps(networks, config, value, tile)
    return maps


def placed_maps(
    networks: Networks,
    config: ModelConfig,
    image: Array,
    placements: Sequence[list[Tile]],
    progress: Progress | None,
) -> Float3D:
    """Average the AIS maps of an image over several placements of its tiles.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: Checked, ``(height, width)`` or ``(height, width, 3)``.
        placements: From ``encoding.choose_placements``.
        progress: Called with ("embed", tiles done, tiles in all).

    Returns:
        As ``decode_maps``.
    """
    total = sum(map(len, placements))
    done = 0

    def report(stage: str, here: int, _: int) -> None:
        if progress is not None:
            progress(stage, done + here, total)

    def maps() -> Iterator[Float3D]:
        nonlocal done
        for tiles in placements:
            embeddings = encode_tiles(networks, config, image, tiles, report)
            yield decode_maps(networks, config, embeddings)
            done += len(tiles)

    return mean_maps(maps())


def mean_maps(maps: Iterable[Float3D]) -> Float3D:
    """Average maps of one window that were computed at several placements of the tiles.

    Args:
        maps: At least one. The first is overwritten and returned.
    """
    rest = iter(maps)
    total, count = next(rest), 1
    for one in rest:
        total += one
        count += 1
    if count > 1:
        total /= np.float32(count)
    return total


def tile_maps(networks: Networks, config: ModelConfig, value: Float3D, tile: Tile) -> Float3D:
    """Decode the AIS maps of one tile.

    Args:
        networks: The model's networks.
        config: The model's config.
        value: The tile's embeddings, ``(channels, grid, grid)``.
        tile: The tile's windows.

    Returns:
        ``(3, height, width)`` float32 in 0..1 of the tile's inner window.
    """
    side = config.image_size
    maps = interpolate(networks.decode_ais(value[None])[0], (side, side))
    rows, columns = input_size(tile.size, side, config.preprocessing.scale)
    maps = interpolate(maps[:, :rows, :columns], tile.size)
    (y, x), (y0, x0, y1, x1) = tile.outer[:2], tile.inner
    return maps[:, y0 - y : y1 - y, x0 - x : x1 - x]


def require_ais(config: ModelConfig) -> None:
    """Refuse a model without an AIS decoder.

    Raises:
        InputError: The model has none; the message says what to do instead.
    """
    if config.architecture.ais_decoder is None:
        raise InputError(
            "this model has no AIS decoder, which the modes ais and apg need; segment with the "
            "mode amg, prompt it with points or boxes, or choose another model"
        )
