"""The mask decoder's forward pass, rearranged so that many objects on one image cost little.

In: segment-anything's ``MaskDecoder`` with its weights, embeddings and prompt tokens. Out: the
result of its own ``predict_masks``, up to rounding. Training, validation and the exported graphs
use it.

Three rearrangements, all exact:

- Before the first layer writes to them, the image's keys are equal for all objects without a mask
  input. Their projections are computed once, not once for each object.
- Later each object has a few tokens and thousands of pixels. Projections of the pixels move to the
  side of the tokens: ``q . (W x) = (W^T q) . x`` for scores, ``sum a (W x) = W (sum a x)`` for
  values. A bias of the keys adds the same to all scores of a query, so it cancels.
- Pixels stay rows of a matrix from the first layer to the mask. Transposed convolutions with kernel
  and stride 2 become matrix products, a LayerNorm over channels becomes one over rows, and only the
  wanted masks are drawn.

Source: segment-anything 1.0, ``modeling/mask_decoder.py`` and ``modeling/transformer.py``.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import MASK_PIXELS
from samzoo.training.methods.lora import effective_weight


def predict_tokens(
    decoder: Any, embeddings: Tensor, positions: Tensor, sparse: Tensor, dense: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Let the tokens of ``n`` objects and the pixels of one image attend to each other.

    Args:
        decoder: Segment-anything's ``MaskDecoder``.
        embeddings: ``(1, 256, grid, grid)``.
        positions: Dense positional encoding, same shape.
        sparse: Embedded points and boxes ``(n, k, 256)``.
        dense: Embedded mask inputs ``(n, 256, grid, grid)``, or one for all objects.

    Returns:
        Pixels ``(n, grid * grid, 256)``; a vector for each mask of each object
        ``(n, 1 + multimask outputs, channels)``; predicted IoU ``(n, 1 + multimask outputs)``.
    """
    output_tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([output_tokens[None].expand(sparse.shape[0], -1, -1), sparse], dim=1)
    tokens, pixels = _two_way(
        decoder.transformer,
        tokens,
        (embeddings + dense).flatten(2).transpose(1, 2),
        positions.flatten(2).transpose(1, 2),
    )
    vectors = [
        network(tokens[:, 1 + i]) for i, network in enumerate(decoder.output_hypernetworks_mlps)
    ]
    return pixels, torch.stack(vectors, dim=1), decoder.iou_prediction_head(tokens[:, 0])


def draw_masks(decoder: Any, pixels: Tensor, vectors: Tensor, grid: tuple[int, int]) -> Tensor:
    """Draw the masks of some vectors, which costs as much as all attention before it.

    Args:
        decoder: Segment-anything's ``MaskDecoder``.
        pixels: ``(n, height * width, 256)`` from ``predict_tokens``.
        vectors: Vectors of the wanted masks ``(n, c, channels)``.
        grid: (height, width) of the embeddings.

    Returns:
        Logits ``(n, c, 4 * height, 4 * width)``.
    """
    first, norm, activation, second, last_activation = decoder.output_upscaling
    x = _doubled(pixels, first)  # (n, pixels, 4, channels): a pixel's 2 x 2 block, row by row
    # The norm is over the last axis, as LayerNorm2d's is over an image's first.
    x = activation(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
    x = last_activation(_doubled(x, second))
    logits: Tensor = x.flatten(1, 3) @ vectors.transpose(1, 2)
    # (n, y, x, 2y, 2x, 4y, 4x, c) to rows and columns.
    return (
        logits.reshape(-1, *grid, 2, 2, 2, 2, vectors.shape[1])
        .permute(0, 7, 1, 3, 5, 2, 4, 6)
        .reshape(-1, vectors.shape[1], MASK_PIXELS * grid[0], MASK_PIXELS * grid[1])
    )


def _doubled(x: Tensor, layer: Any) -> Tensor:
    """A transposed convolution with kernel and stride 2: ``(..., in)`` to ``(..., 4, out)``."""
    weight = layer.weight.permute(2, 3, 1, 0).flatten(0, 2)
    # As a matrix product, so that the exported operation adds the bias itself.
    rows = F.linear(x.reshape(-1, layer.in_channels), weight, layer.bias.repeat(4))
    # -1 instead of the first size, which tracing may take for a constant.
    return rows.reshape(-1, *x.shape[1:-1], 4, layer.out_channels)


def _two_way(
    transformer: Any, tokens: Tensor, pixels: Tensor, positions: Tensor
) -> tuple[Tensor, Tensor]:
    """``TwoWayTransformer.forward`` with pixels as rows."""
    queries = tokens
    placed = pixels + positions
    for index, layer in enumerate(transformer.layers):
        if layer.skip_first_layer_pe:
            queries = layer.self_attn(q=queries, k=queries, v=queries)
        else:
            q = queries + tokens
            queries = queries + layer.self_attn(q=q, k=q, v=queries)
        queries = layer.norm1(queries)
        to_image, from_image = (
            (_shared_to_image, _shared_from_image) if index == 0 else (_to_image, _from_image)
        )
        found = to_image(layer.cross_attn_token_to_image, queries + tokens, placed, pixels)
        queries = layer.norm2(queries + found)
        queries = layer.norm3(queries + layer.mlp(queries))
        told = from_image(layer.cross_attn_image_to_token, placed, queries + tokens, queries)
        pixels = layer.norm4(pixels + told)
        placed = pixels + positions
    found = _to_image(transformer.final_attn_token_to_image, queries + tokens, placed, pixels)
    return transformer.norm_final_attn(queries + found), pixels


# Below: t tokens, p pixels, h heads of d channels, c = 256; m is 1 or n.


def _shared_to_image(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let tokens ``(n, t, c)`` attend to pixels ``(m, p, c)``, projecting the pixels."""
    q, k, v = (
        _heads(project(x), attention)
        for project, x in ((attention.q_proj, q), (attention.k_proj, k), (attention.v_proj, v))
    )
    weights = torch.softmax(_scaled(q) @ k.transpose(2, 3), dim=-1)
    result: Tensor = attention.out_proj((weights @ v).transpose(1, 2).flatten(2))
    return result


def _shared_from_image(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let pixels ``(m, p, c)`` attend to tokens ``(n, t, c)``, projecting the pixels."""
    q, k = _heads(attention.q_proj(q), attention), _heads(attention.k_proj(k), attention)
    return _told(attention, _scaled(k) @ q.transpose(2, 3), v)


def _to_image(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let tokens ``(n, t, c)`` attend to their own pixels ``(n, p, c)``, projecting the tokens."""
    q = _scaled(_heads(attention.q_proj(q), attention))
    sought = q @ _by_head(attention.k_proj, attention)  # (n, h, t, c)
    weights = torch.softmax(sought.flatten(1, 2) @ k.transpose(1, 2), dim=-1)
    found = torch.unflatten(weights @ v, 1, (attention.num_heads, -1))
    values = found @ _by_head(attention.v_proj, attention).transpose(1, 2)  # (n, h, t, d)
    joined = values.transpose(1, 2).flatten(2) + attention.v_proj.bias
    result: Tensor = attention.out_proj(joined)
    return result


def _from_image(attention: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Let pixels ``(n, p, c)`` attend to tokens ``(n, t, c)``, projecting the tokens."""
    k = _scaled(_heads(attention.k_proj(k), attention))
    offered = k @ _by_head(attention.q_proj, attention)  # (n, h, t, c)
    # The pixels' bias adds a term to a token's scores that depends on the token, so it stays.
    bias = k @ attention.q_proj.bias.view(attention.num_heads, -1, 1)
    scores = offered.flatten(1, 2) @ q.transpose(1, 2)
    scores = torch.unflatten(scores, 1, (attention.num_heads, -1))
    return _told(attention, scores + bias, v)


def _told(attention: Any, scores: Tensor, v: Tensor) -> Tensor:
    """Return the pixels' means of token values ``(n, t, c)``, by scores ``(n, h, t, p)``."""
    weights = torch.softmax(scores, dim=2)
    values = _heads(attention.v_proj(v), attention)  # (n, h, t, d)
    out = torch.unflatten(effective_weight(attention.out_proj), 1, (attention.num_heads, -1))
    # A pixel's weights sum to 1 in each head, so the bias may be added to each value.
    told = values @ out.permute(1, 2, 0) + attention.out_proj.bias / attention.num_heads
    mixed: Tensor = weights.flatten(1, 2).transpose(1, 2) @ told.flatten(1, 2)
    return mixed


def _heads(x: Tensor, attention: Any) -> Tensor:
    """Rearrange ``(n, t, h * d)`` to ``(n, h, t, d)``."""
    return torch.unflatten(x, 2, (attention.num_heads, -1)).transpose(1, 2)


def _scaled(x: Tensor) -> Tensor:
    return x * (1.0 / math.sqrt(x.shape[-1]))


def _by_head(linear: nn.Linear, attention: Any) -> Tensor:
    """Return a projection's weight as ``(h, d, c)``."""
    weight: Tensor = torch.unflatten(effective_weight(linear), 0, (attention.num_heads, -1))
    return weight
