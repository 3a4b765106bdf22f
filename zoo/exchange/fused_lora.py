"""One LoRA on a whole fused layer, and ours with a pair of factors for each of q, k and v.

Fused: ``A = [A_q; A_v] (n r, in)`` and B ``(out, n r)`` block by block, so that ``B A`` is the same
matrix. In: one layer's factors. Out: the other form. Called by ``huggingface_peft.py`` and
``factor_files.py``; exact in both directions, nothing is multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.config import EncoderConfig
from samzoo.training.methods.layers import matrix_rows

Factors = tuple[Array, Array]
"""A ``(rank, in)`` and B ``(rows, rank)``."""

FUSED = ("q", "k", "v")


def fuse(
    config: EncoderConfig, layer: str, factors: Mapping[str, Factors], outputs: int
) -> Factors:
    """Stack the factors of a layer's matrices.

    Args:
        config: The image encoder, which orders the rows.
        layer: The layer's name in the encoder.
        factors: By matrix, all of one rank.
        outputs: Rows of the layer.

    Returns:
        A ``(n * rank, in)``, and B ``(outputs, n * rank)``, zero outside a matrix's rows.
    """
    rank = next(iter(factors.values()))[0].shape[0]
    fused = np.zeros((outputs, rank * len(factors)), np.float32)
    for position, (matrix, (_, b)) in enumerate(factors.items()):
        columns = slice(position * rank, (position + 1) * rank)
        fused[matrix_rows(config, layer, matrix, outputs), columns] = b
    return np.concatenate([a for a, _ in factors.values()]), fused


def split(
    config: EncoderConfig, layer: str, a: Array, b: Array, matrices: Sequence[str] | None = None
) -> dict[str, Factors]:
    """Give each matrix its own factors.

    Args:
        config: The image encoder, which orders the rows.
        layer: The layer's name in the encoder, ending in ``qkv``.
        a: ``(rank, in)``.
        b: ``(out, rank)``.
        matrices: The matrices that ``fuse`` stacked, where that is known.

    Returns:
        Factors by matrix. Where B is made of blocks, one after the other, each matrix gets its
        block, of a smaller rank; else every matrix that B touches gets all of A.
    """
    rows = {matrix: matrix_rows(config, layer, matrix, len(b)) for matrix in FUSED}
    touched = {m: np.flatnonzero(b[index].any(axis=0)) for m, index in rows.items()}
    rank = len(a)
    candidates = [list(matrices)] if matrices else [["q", "v"], ["q", "k", "v"]]
    for candidate in candidates:
        size, rest = divmod(rank, len(candidate))
        blocks = {m: range(i * size, (i + 1) * size) for i, m in enumerate(candidate)}
        if not rest and all(set(touched[m].tolist()) <= set(blocks.get(m, ())) for m in FUSED):
            return {m: (a[blocks[m]], b[rows[m]][:, blocks[m]]) for m in candidate}
    used = [m for m in FUSED if len(touched[m])]
    return {m: (a, b[rows[m]]) for m in used or FUSED}


def padded(factors: Factors, rank: int) -> Factors:
    """Raise the rank with zeros, which changes no product."""
    a, b = factors
    more = rank - len(a)
    return np.pad(a, ((0, more), (0, 0))), np.pad(b, ((0, 0), (0, more)))
