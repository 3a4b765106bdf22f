"""Conversion between one LoRA on a fused layer and a pair of factors for each of q, k and v.

In the fused form, ``A = [A_q; A_v] (n r, in)``, and B ``(out, n r)`` has one block for each matrix,
so that ``B A`` is the same matrix. In: one layer's factors. Out: the other form. Both directions
are exact, since nothing is multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.training.methods.layers import FUSED, matrix_rows

Factors = tuple[Array, Array]
"""A ``(rank, in)`` and B ``(rows, rank)``."""


def fuse(
    config: EncoderConfig, layer: str, factors: Mapping[str, Factors], outputs: int
) -> Factors:
    """Stack the factors of a layer's matrices into one pair.

    Args:
        config: The image encoder, which decides the order of the rows.
        layer: The layer's name in the encoder.
        factors: Factors by matrix, all of one rank.
        outputs: Number of the layer's rows.

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
        config: The image encoder, which decides the order of the rows.
        layer: The layer's name in the encoder, ending in ``qkv``.
        a: Factor A, ``(rank, in)``.
        b: Factor B, ``(out, rank)``.
        matrices: The matrices that ``fuse`` stacked, if they are known.

    Returns:
        Factors by matrix. If B consists of one block for each matrix, each matrix gets its block,
        of a smaller rank; else every matrix whose rows in B are not zero gets all of A.
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
