"""From an image to its embeddings: the choice of tiles, their encoding, and the model's mark.

In: a checked image, a config and its networks. Out: ``ImageEmbeddings``.
"""

from __future__ import annotations

import numpy as np

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.arrays import Array, Float3D, Float4D, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images import tiles as tiling
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size, field_of_view, input_size, resize_image
from samzoo.runtime.images.intensity import intensity_limits, is_constant, to_0_255
from samzoo.runtime.images.reading import check_image
from samzoo.runtime.images.tiles import Tile, whole

from .embeddings import ImageEmbeddings
from .networks import Networks
from .tile_values import LazyTiles

MAX_PLACEMENTS = 16
"""Most placements of the tiles on an image (own choice)."""


def embed_image(
    networks: Networks,
    config: ModelConfig,
    image: Array,
    *,
    shrink: bool,
    tile_shape: Size | None = None,
    halo: Size | None = None,
    lazy: bool = False,
    progress: Progress | None = None,
) -> ImageEmbeddings:
    """Choose the tiles of an image and encode them.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: ``(height, width)`` or ``(height, width, 3)``.
        shrink: Whether a model without a declared scale sees an image of any size at once.
        tile_shape: As in ``choose_tiles``; a given one always tiles.
        halo: As in ``choose_tiles``.
        lazy: As in ``encode_tiles``.
        progress: As in ``encode_tiles``.

    Returns:
        The embeddings of all tiles.

    Raises:
        ImageError: The image cannot be used.
        InputError: A halo is given, and the image is not tiled.
        ShapeError: As ``choose_tiles``.
    """
    image = without_empty_channels(check_image(image))
    size = (image.shape[0], image.shape[1])
    tiles = whole_or_tiles(config, size, tile_shape, halo, shrink=shrink)
    return encode_tiles(networks, config, image, tiles, progress, lazy=lazy)


def whole_or_tiles(
    config: ModelConfig, size: Size, tile_shape: Size | None, halo: Size | None, *, shrink: bool
) -> list[Tile]:
    """Choose the tiles of an image, or one tile that is the whole image.

    Args:
        config: As in ``choose_tiles``.
        size: As in ``choose_tiles``.
        tile_shape: As in ``choose_tiles``; a given one always tiles.
        halo: As in ``choose_tiles``.
        shrink: Whether a model without a declared scale sees an image of any size at once.

    Returns:
        As ``choose_tiles``.

    Raises:
        InputError: A halo is given, and the image is not tiled.
        ShapeError: As ``choose_tiles``.
    """
    if not shrink or tile_shape is not None or config.preprocessing.scale is not None:
        return choose_tiles(config, size, tile_shape, halo)
    if halo is not None:
        raise InputError(
            f"halo: found {halo}, but this model sees the whole image at once; give the tile "
            "shape as well, or omit the halo"
        )
    return whole(size)


def choose_placements(
    config: ModelConfig, size: Size, tile_shape: Size | None, halo: Size | None, placements: int
) -> list[list[Tile]]:
    """Cut an image into tiles several times, each time at other places.

    Args:
        config: As in ``choose_tiles``.
        size: As in ``choose_tiles``.
        tile_shape: As in ``choose_tiles``.
        halo: As in ``choose_tiles``.
        placements: How many times.

    Returns:
        Tiles by placement; the first are those of ``choose_tiles``. There is one placement only if
        the image is one tile.

    Raises:
        InputError: ``placements`` is not from 1 to ``MAX_PLACEMENTS``.
        ShapeError: As ``choose_tiles``.
    """
    if not 1 <= placements <= MAX_PLACEMENTS:
        raise InputError(f"placements: found {placements}, allowed are 1 to {MAX_PLACEMENTS}")
    found = [
        choose_tiles(config, size, tile_shape, halo, phase=index / placements)
        for index in range(placements)
    ]
    return found if len(found[0]) > 1 else found[:1]


def choose_tiles(
    config: ModelConfig,
    size: Size,
    tile_shape: Size | None,
    halo: Size | None,
    *,
    phase: float = 0.0,
) -> list[Tile]:
    """Cut an image into tiles that the encoder sees at once.

    Args:
        config: The model's config.
        size: (height, width) of the image.
        tile_shape: (height, width) of the inner tiles; by default as few tiles as cover the image.
        halo: (height, width) of the least context around each tile inside the image; an eighth of
            the field by default. With a declared scale each tile sees the whole field, which costs
            the same. Without one each sees what ``tile_shape`` and ``halo`` say, so that all have
            the same magnification.
        phase: How far the tiles move, as in ``tiles.even_tiles``.

    Returns:
        Tiles in row-major order.

    Raises:
        ShapeError: A tile with its halo does not fit the model's field of view.
    """
    scale = config.preprocessing.scale
    field = field_of_view(config.image_size, scale)
    if tile_shape is None:
        margin = field // tiling.HALO_FRACTION if halo is None else max(halo)
        return tiling.even_tiles(size, field, margin, phase)
    if halo is None:
        halo = (field // tiling.HALO_FRACTION,) * 2
    window = (tile_shape[0] + 2 * halo[0], tile_shape[1] + 2 * halo[1])
    if scale is not None and max(window) > field:
        raise ShapeError(
            f"tile_shape {tile_shape} with halo {halo} needs {max(window)} pixels, the model's "
            f"field of view is {field}; make tile_shape + 2 * halo at most {field}"
        )
    tiles = tiling.regular_tiles(size, tile_shape, halo, phase)
    return tiling.whole_windows(tiles, size, window if scale is None else (field, field))


def unused_tiling(
    config: ModelConfig, size: Size, tile_shape: Size | None, halo: Size | None, placements: int
) -> list[str]:
    """Name the options of tiles that change nothing, because one tile covers the image.

    Args:
        config: As in ``choose_tiles``.
        size: As in ``choose_tiles``.
        tile_shape: As in ``choose_tiles``.
        halo: As in ``choose_tiles``.
        placements: As in ``choose_placements``.

    Returns:
        A sentence, or nothing if each given option has an effect.

    Raises:
        ShapeError: As ``choose_tiles``.
    """
    tiles = choose_tiles(config, size, tile_shape, halo)
    if len(tiles) > 1:
        return []
    unused = ["placements"] if placements != 1 else []
    for name, value, others in (
        ("tile_shape", tile_shape, (None, halo)), ("halo", halo, (tile_shape, None)),
    ):  # fmt: skip
        try:
            same = choose_tiles(config, size, *others) == tiles
        except ShapeError:
            same = False
        if value is not None and same:
            unused.append(name)
    verb = "changes" if len(unused) == 1 else "change"
    return [f"one tile covers the image, so {' and '.join(unused)} {verb} nothing"] * bool(unused)


def encode_tiles(
    networks: Networks,
    config: ModelConfig,
    image: Array,
    tiles: list[Tile],
    progress: Progress | None = None,
    *,
    lazy: bool = False,
) -> ImageEmbeddings:
    """Encode the tiles of an image one after the other.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: Checked, ``(height, width)`` or ``(height, width, 3)``.
        tiles: The image's tiles.
        progress: Called with ("embed", tiles done, tiles in all; 0 if ``lazy``).
        lazy: Encode each tile when it is first asked for, and keep it; the image is kept, too.

    Returns:
        The embeddings of all tiles.
    """
    limits = intensity_limits(image, config.preprocessing)
    done = 0

    def encode(index: int) -> Float3D:
        nonlocal done
        y0, x0, y1, x1 = tiles[index].outer
        pixels = to_0_255(image[y0:y1, x0:x1], config.preprocessing, limits)
        values: Float3D = encode_window(networks, config, pixels)[0]
        done += 1
        if progress is not None:
            progress("embed", done, 0 if lazy else len(tiles))
        return values

    kept = LazyTiles(len(tiles), config.grid, encode, remembered=len(tiles))
    return ImageEmbeddings(
        kept if lazy else np.stack([encode(index) for index in range(len(tiles))]),
        tuple(tiles),
        (image.shape[0], image.shape[1]),
        config.weights_digest,
        is_constant(image),
        config.preprocessing.scale,
    )


def encode_window(networks: Networks, config: ModelConfig, pixels: Array) -> Float4D:
    """Encode one window that the network sees at once.

    Args:
        networks: The model's networks.
        config: The model's config.
        pixels: From ``to_0_255``, ``(height, width, 3)`` of a tile's outer window.

    Returns:
        Image embeddings, ``(1, channels, grid, grid)``.
    """
    size = input_size(
        (pixels.shape[0], pixels.shape[1]), config.image_size, config.preprocessing.scale
    )
    return networks.encode(resize_image(pixels, size))


def check_origin(embeddings: ImageEmbeddings, config: ModelConfig) -> None:
    """Refuse embeddings that another model computed.

    Raises:
        InputError: Another model computed them.
        ShapeError: Their shape is not this model's.
    """
    if embeddings.weights_digest != config.weights_digest:
        raise InputError(
            f"the embeddings were computed by the model {embeddings.weights_digest}, this is "
            f"{config.weights_digest}; embed the image again with this model"
        )
    expected = (len(embeddings.tiles), EMBEDDING_CHANNELS, config.grid, config.grid)
    if embeddings.values.shape != expected:
        raise ShapeError(
            f"image_embeddings must have shape {expected}, got {embeddings.values.shape}; "
            "embed the image again with this model"
        )
