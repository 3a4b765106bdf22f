"""The AIS maps of a whole image, joined from those of its tiles.

In: embeddings and the networks. Out: foreground, center_distances and boundary_distances at image
size. Called by ``model.py``; ``ais.py`` makes labels of them.
"""

from __future__ import annotations

import numpy as np

from .arrays import Float3D
from .config import AIS_CHANNELS, ModelConfig
from .embeddings import ImageEmbeddings
from .errors import InputError
from .geometry import input_size, interpolate
from .networks import Networks
from .tiles import Tile


def decode_maps(networks: Networks, config: ModelConfig, embeddings: ImageEmbeddings) -> Float3D:
    """Decode each tile and keep its inner part.

    Args:
        networks: Of the model.
        config: Of the model.
        embeddings: Of the model.

    Returns:
        ``(3, height, width)`` float32 in 0..1, in the order of ``AIS_CHANNELS``.
    """
    maps = np.zeros((len(AIS_CHANNELS), *embeddings.original_size), np.float32)
    for value, tile in zip(embeddings.values, embeddings.tiles, strict=True):
        y0, x0, y1, x1 = tile.inner
        maps[:, y0:y1, x0:x1] = tile_maps(networks, config, value, tile)
    return maps


def tile_maps(networks: Networks, config: ModelConfig, value: Float3D, tile: Tile) -> Float3D:
    """Decode one tile.

    Args:
        networks: Of the model.
        config: Of the model.
        value: The tile's embeddings, ``(channels, grid, grid)``.
        tile: Its windows.

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
    """Refuse a model without AIS decoder.

    Raises:
        InputError: It has none; says what to do instead.
    """
    if config.architecture.ais_decoder is None:
        raise InputError(
            "this model has no AIS decoder, which the modes ais and apg need; segment with the "
            "mode amg, prompt it with points or boxes, or choose another model"
        )
