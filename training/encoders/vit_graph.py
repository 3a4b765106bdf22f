"""Segment-anything's ViT, rewritten so that a CPU needs little memory and time for it.

In: an ``ImageEncoderViT`` and an image. Out: its embeddings, as its own ``forward`` computes
them.

The original holds the scores of all pairs of tokens at once: 12 heads x 4096 x 4096, 805 MB in
float32, and three times as much while relative positions are added. Here attention runs in pieces,
one after the other in the same memory; the scores of a piece fit into a processor's cache.
``docs/decisions/0010-encoder-for-a-cpu.md`` lists what was tried without success.

Source: segment-anything 1.0, ``modeling/image_encoder.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from segment_anything.modeling.image_encoder import get_rel_pos
from torch import Tensor

SCORES_AT_ONCE = 4 * 2**20
"""Attention scores in one piece, 16 MB in float32 (own choice, measured: see the decision)."""

TOKENS_AT_ONCE = 1024
"""Tokens in one pass of an MLP (own choice, measured: see the decision)."""


def encode_vit(encoder: Any, images: Tensor) -> Tensor:
    """Compute the same as ``encoder(images)``.

    Args:
        encoder: An ``ImageEncoderViT``; its submodules may have hooks that add to their output.
        images: ``(1, 3, image_size, image_size)``, preprocessed and padded.

    Returns:
        ``(1, 256, grid, grid)``.
    """
    grid = encoder.img_size // encoder.patch_embed.proj.kernel_size[0]
    x = encoder.patch_embed(images) + encoder.pos_embed
    x = x.reshape(grid * grid, -1)
    for block in encoder.blocks:
        attend = _attend_in_windows if block.window_size else _attend
        x = x + block.attn.proj(attend(block, block.norm1(x), grid))
        # In parts, so that the hidden layer, which is four times as wide, stays small.
        parts = [part for (part,) in _pieces((x,), TOKENS_AT_ONCE, axis=0)]
        parts = [part + block.mlp(block.norm2(part)) for part in parts]
        x = torch.cat(parts) if len(parts) > 1 else parts[0]
    embeddings: Tensor = encoder.neck(x.reshape(1, grid, grid, -1).permute(0, 3, 1, 2))
    return embeddings


def _attend(block: Any, x: Tensor, grid: int) -> Tensor:
    """Compute the attention of all tokens ``(grid * grid, c)`` to all tokens."""
    heads = block.attn.num_heads
    q, k, v = _split(block.attn.qkv(x[None]), heads)
    return _attention(block.attn, q[0], k[0], v[0], grid).transpose(0, 1).flatten(1)


def _attend_in_windows(block: Any, x: Tensor, grid: int) -> Tensor:
    """Compute attention within windows; zeros fill up the windows at the right and bottom.

    The zeros are added after the norm, so that each added token is a bias in the attention.
    """
    side, heads = block.window_size, block.attn.num_heads
    count = -(-grid // side)
    padded = count * side
    # One more token, of zeros, stands for all added ones, so that the linear layer sees it once.
    x = torch.cat([x, x.new_zeros(1, x.shape[1])])
    tokens = np.full((padded, padded), grid * grid)
    tokens[:grid, :grid] = np.arange(grid * grid).reshape(grid, grid)
    tokens = tokens.reshape(count, side, count, side).swapaxes(1, 2)
    windows = torch.from_numpy(tokens.flatten())  # of NumPy, so that it is a constant in graphs
    qkv = block.attn.qkv(x)[windows].reshape(count * count, side * side, -1)
    q, k, v = (part.flatten(0, 1) for part in _split(qkv, heads))
    out = _attention(block.attn, q, k, v, side)  # (windows * heads, side * side, d)
    out = out.reshape(count, count, heads, side, side, -1).permute(0, 3, 1, 4, 2, 5)
    out = out.reshape(padded, padded, -1)
    return out[:grid, :grid].reshape(grid * grid, -1)


def _split(qkv: Tensor, heads: int) -> list[Tensor]:
    """Split ``(n, tokens, 3 c)`` into three tensors ``(n, heads, tokens, d)``."""
    n, tokens = (int(size) for size in qkv.shape[:2])
    parts = qkv.reshape(n, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4)
    return [parts[0], parts[1], parts[2]]


def _attention(attention: Any, q: Tensor, k: Tensor, v: Tensor, side: int) -> Tensor:
    """Compute attention with relative positions, in pieces.

    Args:
        attention: Segment-anything's ``Attention``.
        q: ``(n, side * side, d)``; ``n`` counts windows and heads.
        k: Same shape.
        v: Same shape.
        side: Side of the square of tokens.

    Returns:
        ``(n, side * side, d)``.
    """
    n, tokens, d = (int(length) for length in q.shape)
    square = q.reshape(n, side, side, d)
    by_row = _relative(square, get_rel_pos(side, side, attention.rel_pos_h), axis=1)
    by_column = _relative(square, get_rel_pos(side, side, attention.rel_pos_w), axis=2)
    scaled = q * attention.scale
    terms = by_row.reshape(n, tokens, side, 1), by_column.reshape(n, tokens, 1, side)
    at_once = side * min(side, max(1, SCORES_AT_ONCE // (side * tokens)))
    together = max(1, SCORES_AT_ONCE // (tokens * tokens))
    pieces = []
    for keys, values, *some in _pieces((k, v, scaled, *terms), together, axis=0):
        keys = keys.transpose(1, 2)
        parts = []
        for queries, rows, columns in _pieces(some, at_once, axis=1):
            count, length = (int(size) for size in queries.shape[:2])
            scores = (queries @ keys).reshape(count, length, side, side)
            # In place, because tracing keeps every result alive: 805 MB for a layer of global
            # attention.
            scores += rows
            scores += columns
            weights = torch.softmax(scores.reshape(count, length, tokens), dim=-1)
            parts.append(weights @ values)
        pieces.append(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0])
    return torch.cat(pieces) if len(pieces) > 1 else pieces[0]


def _pieces(tensors: Sequence[Tensor], length: int, *, axis: int) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one length along an axis, all in the same way.

    One node of the graph cuts a tensor into all of its pieces; a slice would be six nodes for each.
    """
    if tensors[0].shape[axis] <= length:
        yield tuple(tensors)
    else:
        yield from zip(*(torch.split(each, length, dim=axis) for each in tensors), strict=True)


def _relative(q: Tensor, table: Tensor, *, axis: int) -> Tensor:
    """Return the scores of queries ``(n, side, side, d)`` with the positions along one axis.

    Args:
        q: Queries by row and column.
        table: ``(side, side, d)``: query position, key position.
        axis: 1 for rows, 2 for columns.

    Returns:
        Scores ``(n, side, side, side)``: row, column, key position.
    """
    n, side, _, d = (int(size) for size in q.shape)
    first = q.transpose(0, axis)  # queries of one position together, one product for each
    scores = first.reshape(side, n * side, d) @ table.transpose(1, 2)
    return scores.reshape(*map(int, first.shape[:3]), side).transpose(0, axis)
