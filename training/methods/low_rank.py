"""Low-rank factors of a change to a weight, found again after the two were added and rounded.

In: a change, the sum of a few outer products and of float32's rounding. Out: its rank, and factors
whose product it is. A warm start finds the mask decoder's LoRA factors again, which adapters store
folded in.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array

Matrix = NDArray[np.float64]


def rounding_norm(weight: Array) -> float:
    """Return how large a matrix, in the spectral norm, the rounding of a weight may be.

    Args:
        weight: ``(rows, columns)``, in the precision that it is stored in.

    Returns:
        The norm of a random matrix whose entries are as large as half a unit in the last place of
        the largest entry: that times ``sqrt(rows) + sqrt(columns)``. Rounding errors are smaller,
        by 1.7 on average.

    Source:
        Vershynin, High-Dimensional Probability (2018), theorem 4.4.5, for the norm.
    """
    rows, columns = weight.shape
    largest = np.abs(weight).max(initial=0)
    return float(np.spacing(largest) / 2 * (np.sqrt(rows) + np.sqrt(columns)))


def numerical_rank(delta: Array, *, noise: float) -> int:
    """Return the number of directions in which a change is larger than its rounding.

    Args:
        delta: ``(rows, columns)``.
        noise: From ``rounding_norm`` of the changed weight.

    >>> numerical_rank(np.outer([1.0, 2.0], [3.0, 4.0]) + 1e-9 * np.eye(2), noise=1e-7)
    1
    """
    values = np.linalg.svd(np.asarray(delta, np.float64), compute_uv=False)
    return int((values > noise).sum())


def low_rank_factors(delta: Array, rank: int) -> tuple[Matrix, Matrix]:
    """Factor a change, as well as a rank allows.

    Args:
        delta: ``(rows, columns)``.
        rank: Number of rows of A and columns of B.

    Returns:
        ``a (rank, columns)`` and ``b (rows, rank)``, whose product ``b @ a`` is nearest to the
        change (Eckart and Young, 1936). Each pair, the largest first, shares its singular value
        evenly, so that both learn alike. Computed in float64. Pairs beyond the smaller side are
        zero.
    """
    u, values, v = np.linalg.svd(np.asarray(delta, np.float64), full_matrices=False)
    rows, columns = delta.shape
    count = min(rank, len(values))
    roots = np.sqrt(values[:count])
    a, b = np.zeros((rank, columns)), np.zeros((rows, rank))
    a[:count], b[:, :count] = roots[:, None] * v[:count], u[:, :count] * roots
    return a, b
