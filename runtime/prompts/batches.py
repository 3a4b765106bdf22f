"""The decoding of prompted objects: in batches that fit into memory, each object in its tile.

In: networks, embeddings and ``Prompt`` objects, a user's or those of AMG and APG. Out:
iou_predictions and low_res_logits, batch by batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.arrays import Float4D, Points, Progress
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import input_size
from samzoo.runtime.images.tiles import Tile

from .enlargement import Enlargement
from .tokens import BOX_TOP_LEFT, PADDING, POSITIVE, Prompt

DECODER_MEMORY = 430_000_000
"""Bytes that the mask decoder may take for the objects of one call: 8 objects at a grid of 64 (own
choice: one object takes 41 ms alone, 32 ms among 8 and 31 ms among 16, on one thread)."""

MAX_OBJECTS = 32
"""Most objects of one call, whatever the grid (own choice)."""


@dataclass(frozen=True)
class Decoded:
    """The mask decoder's output for some objects of one tile.

    Attributes:
        tile: The tile's number in the image.
        enlargement: Turns low-res logits into masks of the tile's size.
        members: The numbers of the prompts.
        iou: iou_predictions ``(objects, c)``.
        low_res: low_res_logits ``(objects, c, 4 * grid, 4 * grid)``.
    """

    tile: Tile
    enlargement: Enlargement
    members: list[int]
    iou: NDArray[np.float32]
    low_res: Float4D


def decode(
    networks: Networks,
    config: ModelConfig,
    embeddings: ImageEmbeddings,
    prompts: Sequence[Prompt],
    *,
    tiles: Sequence[int] | None = None,
    multimask_output: bool | None = None,
    progress: Progress | None = None,
) -> Iterator[Decoded]:
    """Decode any number of objects with any mixture of prompts.

    One call of the decoder takes objects of one tile that have equal numbers of tokens and all
    have mask inputs or none. Padding shorter prompts would change their masks, because every token
    takes part in the attention, the padding token too.

    Args:
        networks: The model's networks.
        config: The model's config.
        embeddings: The image's embeddings.
        prompts: The objects.
        tiles: Number of the tile that decodes each object; the most central one by default.
        multimask_output: See ``Networks.decode_prompts``.
        progress: Called with ("prompt", objects done, objects in all) after each batch.

    Yields:
        Batches in no particular order; each prompt is in one of them.

    Raises:
        InputError: ``multimask_output`` is given, and the package is too old to take it.
    """
    windows, done = embeddings.tiles, 0
    groups: dict[tuple[int, int, bool], list[int]] = defaultdict(list)
    for i, prompt in enumerate(prompts):
        tile = central_tile(prompt, windows) if tiles is None else tiles[i]
        tokens = len(_tile_tokens(prompt, windows[tile])[1])
        groups[tile, tokens, prompt.mask_input is not None].append(i)
    for (tile, tokens, _), members in groups.items():
        step = objects_per_call(config.grid, tokens)
        enlargement = _tile_enlargement(config, windows[tile])
        for start in range(0, len(members), step):
            batch = members[start : start + step]
            iou, low_res = _decode(
                networks,
                config,
                embeddings.values[tile : tile + 1],
                windows[tile],
                [prompts[i] for i in batch],
                multimask_output,
            )
            yield Decoded(windows[tile], enlargement, batch, iou, low_res)
            done += len(batch)
            if progress is not None:
                progress("prompt", done, len(prompts))


def single_points(points: Points) -> list[Prompt]:
    """Make one prompt from each row ``(x, y)``: a point in the object."""
    label = np.array([POSITIVE], np.float32)
    return [Prompt(point[None], label) for point in points]


def objects_per_call(grid: int, tokens: int) -> int:
    """Return how many objects one call of the mask decoder takes.

    Args:
        grid: Side of the image embeddings.
        tokens: Tokens of each object, without the decoder's own.

    Returns:
        As many as ``DECODER_MEMORY`` holds, at least 1 and at most ``MAX_OBJECTS``.

    >>> objects_per_call(64, 2), objects_per_call(16, 2), objects_per_call(256, 2)
    (8, 32, 1)
    """
    # At its peak the decoder holds twice the grid's values and twice the enlarged ones, which are
    # 16 times as many with an eighth of the channels. Earlier it holds the attention weights of 8
    # heads for each token. onnxruntime keeps twice that (measured: 51 MB an object at a grid of
    # 64).
    floats = grid**2 * (EMBEDDING_CHANNELS * (2 + 4) + 8 * (tokens + 5))
    return min(max(DECODER_MEMORY // (2 * 4 * floats), 1), MAX_OBJECTS)


def _tile_enlargement(config: ModelConfig, tile: Tile) -> Enlargement:
    """Return the enlargement of a tile's low-res logits to masks of its size."""
    resized = input_size(tile.size, config.image_size, config.preprocessing.scale)
    return Enlargement.between(config.mask_side, config.image_size, resized, tile.size)


def _decode(
    networks: Networks,
    config: ModelConfig,
    image_embeddings: Float4D,
    tile: Tile,
    prompts: list[Prompt],
    multimask_output: bool | None,
) -> tuple[NDArray[np.float32], Float4D]:
    tokens = [_tile_tokens(prompt, tile) for prompt in prompts]
    rows, columns = input_size(tile.size, config.image_size, config.preprocessing.scale)
    factor = np.array([columns / tile.size[1], rows / tile.size[0]])
    coords = (np.stack([token[0] for token in tokens]) * factor).astype(np.float32)
    labels = np.stack([token[1] for token in tokens])
    masks = [prompt.mask_input for prompt in prompts if prompt.mask_input is not None]
    return networks.decode_prompts(
        image_embeddings,
        coords,
        labels,
        np.stack(masks) if masks else None,
        multimask_output=multimask_output,
    )


def central_tile(prompt: Prompt, windows: tuple[Tile, ...]) -> int:
    """Return the number of the tile whose window's edges are farthest from the object's anchor."""
    x, y = prompt.anchor
    margins = [
        min(y - tile.outer[0], x - tile.outer[1], tile.outer[2] - y, tile.outer[3] - x)
        for tile in windows
    ]
    return int(np.argmax(margins))


def _tile_tokens(prompt: Prompt, tile: Tile) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return coordinates relative to the tile, and labels, padded as segment-anything pads.

    A box is cut at the window. Points outside the window are left out: they say nothing about what
    the network sees. Without a box one padding token follows, as in segment-anything.
    """
    y0, x0, y1, x1 = tile.outer
    coords = prompt.coords.astype(np.float64) - (x0, y0)
    labels = prompt.labels
    limit = np.array([x1 - x0, y1 - y0], np.float64)
    if prompt.has_box:
        coords[-2:] = np.clip(coords[-2:], 0, limit)
    inside = ((coords >= 0) & (coords <= limit)).all(axis=1) | (labels >= BOX_TOP_LEFT)
    coords, labels = coords[inside], labels[inside]
    if not prompt.has_box:
        coords = np.concatenate([coords, np.zeros((1, 2))])
        labels = np.concatenate([labels, np.array([PADDING], np.float32)])
    return coords, labels
