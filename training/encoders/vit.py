"""Segment-anything's ViT in training: its own modules, and attention that keeps no scores.

In: an ``ImageEncoderViT``. Out: its steps, which compute what its ``forward`` computes, with the
same gradients. The export has another form of the same, ``vit_graph.py``.

Source: segment-anything 1.0, ``modeling/image_encoder.py``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from segment_anything.modeling.image_encoder import (
    get_rel_pos,
    window_partition,
    window_unpartition,
)
from torch import Tensor

from .attention import attend_with_positions
from .steps import EncoderStep, step_of


def vit_steps(encoder: Any) -> list[EncoderStep]:
    """Cut an ``ImageEncoderViT`` into stem, blocks and neck.

    Between the steps are tokens ``(n, grid, grid, channels)``.
    """
    return [
        step_of(lambda images: encoder.patch_embed(images) + encoder.pos_embed,
                encoder.patch_embed, encoder.pos_embed),
        *(step_of(partial(_block, block), block) for block in encoder.blocks),
        step_of(lambda x: encoder.neck(x.permute(0, 3, 1, 2)), encoder.neck),
    ]  # fmt: skip


def _block(block: Any, x: Tensor) -> Tensor:
    """``Block.forward``; methods may have hooks on its layers."""
    windows = block.norm1(x)
    side = block.window_size
    if side:
        size = (x.shape[1], x.shape[2])
        # Filled up with zeros after the norm, so that each added token is a bias in the attention.
        windows, padded = window_partition(windows, side)
    attended = _attention(block.attn, windows)
    if side:
        attended = window_unpartition(attended, side, padded, size)
    x = x + attended
    x = x + block.mlp(block.norm2(x))
    return x


def _attention(attention: Any, x: Tensor) -> Tensor:
    """``Attention.forward`` for ``(n, height, width, channels)``."""
    n, height, width, _ = x.shape
    heads = attention.num_heads
    qkv = attention.qkv(x).reshape(n, height * width, 3, heads, -1).permute(2, 0, 3, 1, 4)
    q, k, v = qkv.reshape(3, n * heads, height * width, -1).unbind(0)
    square = q.unflatten(1, (height, width))
    rows = get_rel_pos(height, height, attention.rel_pos_h)
    columns = get_rel_pos(width, width, attention.rel_pos_w)
    by_row = torch.einsum("bhwc,hkc->bhwk", square, rows).flatten(1, 2)
    by_column = torch.einsum("bhwc,wkc->bhwk", square, columns).flatten(1, 2)
    y = attend_with_positions(q, k, v, by_row, by_column, scale=attention.scale)
    y = y.view(n, heads, height, width, -1).permute(0, 2, 3, 1, 4).flatten(3)
    result: Tensor = attention.proj(y)
    return result
