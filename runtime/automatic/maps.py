"""The AIS maps of a whole image, joined from the maps of its tiles.

In: embeddings and networks. Out: foreground, center_distances and boundary_distances at image
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.encoding import encode_window
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.architecture import AIS_CHANNELS
from samzoo.runtime.formats.arrays import Array, Float3D, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import input_size, interpolate
from samzoo.runtime.images.intensity import intensity_limits, to_0_255
from samzoo.runtime.images.tiles import Tile, whole
from samzoo.runtime.labels.views import upright, view

from .flatness import is_flat

ORIENTATIONS = {
    1: ((False, 0),),
    2: ((False, 0), (True, 1)),
    4: ((False, 0), (False, 1), (False, 2), (False, 3)),
    8: tuple((mirrored, turns) for mirrored in (False, True) for turns in range(4)),
}
"""Orientations (mirrored left to right or not, then quarter turns) by how many are averaged. Two
are an image and its transpose, four its quarter turns. Of the pairs and fours that are closed under
themselves, these leave the smallest range of mSA over the eight ways in which an image may lie
(measured: ``benchmarks/README.md``, "Images that lie in another way")."""

OUTSIDE = (0.0, 1.0, 1.0)
"""Values of the three maps where there is no object; see ``ais.segment_from_maps``."""


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


def averaged_maps(
    networks: Networks,
    config: ModelConfig,
    image: Array,
    placements: Sequence[list[Tile]],
    average: int,
    progress: Progress | None,
) -> Float3D:
    """Average the AIS maps of an image over several placements and orientations of its tiles.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: Checked, ``(height, width)`` or ``(height, width, 3)``.
        placements: From ``encoding.choose_placements``.
        average: Orientations, a key of ``ORIENTATIONS``.
        progress: Called with ("embed", tiles done, tiles in all), each tile once an orientation.

    Returns:
        As ``decode_maps``.
    """
    limits = intensity_limits(image, config.preprocessing)
    done, total = 0, average * sum(map(len, placements))

    def maps_of(tiles: list[Tile]) -> Float3D:
        nonlocal done
        maps = np.zeros((len(AIS_CHANNELS), *image.shape[:2]), np.float32)
        for tile in tiles:
            (top, left, bottom, right), (y0, x0, y1, x1) = tile.outer, tile.inner
            pixels = to_0_255(image[top:bottom, left:right], config.preprocessing, limits)
            maps[:, y0:y1, x0:x1] = oriented_maps(networks, config, pixels, tile, average)
            done += average
            if progress is not None:
                progress("embed", done, total)
        return maps

    return mean_maps(maps_of(tiles) for tiles in placements)


def oriented_maps(
    networks: Networks, config: ModelConfig, pixels: Array, tile: Tile, average: int
) -> Float3D:
    """Encode and decode one tile as it lies, mirrored and turned, and average its maps.

    Args:
        networks: The model's networks.
        config: The model's config.
        pixels: From ``to_0_255``, ``(height, width, 3)`` of the tile's outer window.
        tile: The tile's windows.
        average: Orientations, a key of ``ORIENTATIONS``; 1 is the tile as it lies.

    Returns:
        As ``tile_maps``. A tile in which nothing stands out (``flatness.py``) is not encoded.
    """
    (y, x), (y0, x0, y1, x1) = tile.outer[:2], tile.inner
    if is_flat(pixels, config):
        size = (y1 - y0, x1 - x0)
        return np.stack([np.full(size, value, np.float32) for value in OUTSIDE])

    def each() -> Iterator[Float3D]:
        for mirrored, turns in ORIENTATIONS[average]:
            seen = view(pixels, mirrored=mirrored, turns=turns)
            value = encode_window(networks, config, np.ascontiguousarray(seen))[0]
            [all_of_it] = whole((seen.shape[0], seen.shape[1]))
            maps = tile_maps(networks, config, value, all_of_it)
            maps = upright(maps, mirrored=mirrored, turns=turns)
            yield maps[:, y0 - y : y1 - y, x0 - x : x1 - x]

    return mean_maps(each())


def check_average(average: int) -> None:
    """Refuse a number of orientations that is no key of ``ORIENTATIONS``.

    Raises:
        InputError: It is another number.
    """
    if average not in ORIENTATIONS:
        allowed = ", ".join(map(str, ORIENTATIONS))
        raise InputError(f"average: found {average}, allowed are {allowed}")


def mean_maps(maps: Iterable[Float3D]) -> Float3D:
    """Average maps of one window: of several placements of the tiles, or several orientations.

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
