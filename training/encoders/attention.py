"""Attention in pieces, for training: the scores of all pairs of tokens are never held at once.

In: queries, keys, values, and what a network adds to the scores. Out: the attention's result, whose
backward pass computes the scores again, piece by piece. ViT-B's scores take 805 MB for each of four
blocks, and plain torch keeps several such tensors until the backward pass; a piece takes 16 MB.

Source: Dao et al., FlashAttention (2022), for the gradient from the result alone. Its kernels
cannot add terms that train.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

SCORES_AT_ONCE = 4 * 2**20
"""Attention scores in one piece, 16 MB in float32 (own choice: a piece fits into a processor's
cache; see ``docs/decisions/0010-encoder-for-a-cpu.md``)."""


def attend_with_positions(
    q: Tensor, k: Tensor, v: Tensor, by_row: Tensor, by_column: Tensor, *, scale: float
) -> Tensor:
    """Compute attention whose scores depend on a key's row and on its column.

    Args:
        q: Queries ``(n, tokens, d)``; ``n`` counts images, windows and heads.
        k: Keys, same shape.
        v: Values, same shape.
        by_row: What is added to the scores of the keys in a row, ``(n, tokens, rows)``.
        by_column: The same for columns, ``(n, tokens, columns)``; ``rows * columns`` is ``tokens``.
        scale: Factor on the products of queries and keys.

    Returns:
        ``(n, tokens, d)``: ``softmax(scale * q k^T + by_row + by_column) v``.
    """
    result: Tensor = _InPieces.apply(q, k, v, scale, by_row, by_column)
    return result


def attend_with_bias(q: Tensor, k: Tensor, v: Tensor, bias: Tensor, *, scale: float) -> Tensor:
    """Compute attention whose scores have a bias of their own in each head.

    Args:
        q: Queries ``(windows * heads, tokens, d)``, the heads of a window together.
        k: Keys, same shape.
        v: Values, same shape.
        bias: ``(heads, tokens, tokens)``.
        scale: Factor on the products of queries and keys.

    Returns:
        ``(windows * heads, tokens, d)``: ``softmax(scale * q k^T + bias) v``.
    """
    result: Tensor = _InPieces.apply(q, k, v, scale, bias)
    return result


class _InPieces(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, scale: float, *terms: Tensor) -> Tensor:
        result = torch.empty_like(v)
        with torch.autocast(q.device.type, enabled=False):
            for some, queries in _pieces(q.shape, terms):
                weights = _weights(q, k, scale, terms, some, queries)
                result[some, queries] = weights.to(v.dtype) @ v[some]
        ctx.save_for_backward(q, k, v, result, *terms)
        ctx.scale = scale
        return result

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        q, k, v, result, *terms = ctx.saved_tensors
        scale, sizes = ctx.scale, [t.shape[-1] for t in terms]
        to_q, to_k, to_v = torch.empty_like(q), _zeros(k), _zeros(v)
        to_terms = [_zeros(t) if ctx.needs_input_grad[4 + i] else None for i, t in enumerate(terms)]
        # What a query's scores have in common: the softmax's gradient has no part along it.
        common = (gradient.to(_exact(q)) * result).sum(dim=-1)
        with torch.autocast(q.device.type, enabled=False):
            for some, queries in _pieces(q.shape, terms):
                weights = _weights(q, k, scale, terms, some, queries)
                part = gradient[some, queries]
                to_v[some] += weights.to(v.dtype).transpose(1, 2) @ part
                to_scores = (part @ v[some].transpose(1, 2)).to(_exact(q))
                to_scores = to_scores.sub_(common[some, queries, None]).mul_(weights)
                _add_to_terms(to_terms, to_scores, sizes, some, queries)
                to_scores = to_scores.to(q.dtype)
                to_q[some, queries] = scale * (to_scores @ k[some])
                to_k[some] += scale * (to_scores.transpose(1, 2) @ q[some, queries])
        found = [g if g is None else g.to(t.dtype) for g, t in zip(to_terms, terms, strict=True)]
        return to_q, to_k.to(k.dtype), to_v.to(v.dtype), None, *found


def _zeros(value: Tensor) -> Tensor:
    """Zeros for sums over pieces, exact enough for many of them."""
    return torch.zeros_like(value, dtype=_exact(value))


def _exact(value: Tensor) -> torch.dtype:
    """Return the dtype of scores: float32, also where autocast computes products in less."""
    return torch.promote_types(value.dtype, torch.float32)


def _pieces(
    shape: tuple[int, ...], terms: tuple[Tensor, ...] | list[Tensor]
) -> Iterator[tuple[slice, slice]]:
    """Cut the scores ``(n, tokens, tokens)`` by their first two axes."""
    n, tokens, _ = shape
    # A bias belongs to all heads of a window, so these stay together.
    group = terms[0].shape[0] if len(terms) == 1 else 1
    together = group * max(1, SCORES_AT_ONCE // (group * tokens * tokens))
    rows = min(tokens, max(1, SCORES_AT_ONCE // (group * tokens)))
    for first in range(0, n, together):
        for row in range(0, tokens, rows):
            yield slice(first, min(first + together, n)), slice(row, min(row + rows, tokens))


def _weights(
    q: Tensor,
    k: Tensor,
    scale: float,
    terms: tuple[Tensor, ...] | list[Tensor],
    some: slice,
    queries: slice,
) -> Tensor:
    """Return the softmax of a piece's scores; a piece has all keys of its queries."""
    scores = ((q[some, queries] * scale) @ k[some].transpose(1, 2)).to(_exact(q))
    if len(terms) == 1:
        (bias,) = terms
        scores.view(-1, *bias.shape[:1], *scores.shape[1:]).add_(bias[:, queries])
    else:
        by_row, by_column = terms
        square = scores.view(*scores.shape[:2], by_row.shape[2], by_column.shape[2])
        square.add_(by_row[some, queries, :, None]).add_(by_column[some, queries, None, :])
    return torch.softmax(scores, dim=-1)


def _add_to_terms(
    to_terms: list[Tensor | None],
    to_scores: Tensor,
    sizes: list[int],
    some: slice,
    queries: slice,
) -> None:
    """Add a piece's gradient to those of the terms that need one.

    Args:
        to_terms: A sum for each term, or None.
        to_scores: Gradient of the piece's scores.
        sizes: Sizes of the terms' last axes.
        some: The piece along the first axis.
        queries: The piece along the second axis.
    """
    if len(to_terms) == 1:
        (to_bias,) = to_terms
        if to_bias is not None:
            to_bias[:, queries] += to_scores.view(-1, *to_bias.shape[:1], *to_scores.shape[1:]).sum(
                dim=0
            )
        return
    square = to_scores.view(*to_scores.shape[:2], *sizes)
    for to_term, other_axis in zip(to_terms, (3, 2), strict=True):
        if to_term is not None:
            to_term[some, queries] = square.sum(dim=other_axis)
