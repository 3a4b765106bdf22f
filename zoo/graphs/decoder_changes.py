"""What an adapter changes in a mask decoder that several share, as a small file.

In: the base's mask decoder and the adapter's, exported in the same way. Out: the bytes of a
safetensors file, which ``samzoo.runtime.engine.weight_changes`` adds to the base's graph.

An adapter that was trained with ``mask_decoder_rank`` differs from its base by matrices of that
rank and by small tensors. Their factors are found by a singular value decomposition, so the adapter
need not store them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import safetensors.numpy

from samzoo.runtime.engine.weight_changes import A, B
from samzoo.runtime.formats.arrays import Array
from samzoo.training.methods.low_rank import low_rank_factors, numerical_rank, rounding_norm

from .storage import MAX_HALF

WORTH = 0.5
"""Changes of more than this part of the whole graph are not worth a file: the adapter then gets a
mask decoder of its own (own choice)."""


def changes_file(shared: bytes, base: bytes, adapted: bytes) -> bytes | None:
    """Find what an adapter changes.

    Args:
        shared: The base's mask decoder as the package stores it.
        base: The same graph with float32 weights.
        adapted: The adapter's mask decoder, with float32 weights.

    Returns:
        A safetensors file; None if the graphs differ in more than their weights, if ``shared`` is
        not ``base``, or if the file would not be much smaller than the graph.
    """
    stored, before, after = (_weights(graph) for graph in (shared, base, adapted))
    if {n: v.shape for n, v in before.items()} != {n: v.shape for n, v in after.items()}:
        return None
    changes: dict[str, Array] = {}
    for name, value in after.items():
        key = f"{name}_fp16" if f"{name}_fp16" in stored else name
        dtype = stored[key].dtype if key in stored else None
        # Another version of torch or onnx may have named or folded the shared graph differently.
        if dtype is None or not np.array_equal(stored[key], before[name].astype(dtype)):
            return None
        if np.array_equal(value, before[name]):
            continue
        parts = _parts(before[name], value)
        if dtype == np.float16 and any(np.abs(part).max() > MAX_HALF for part in parts.values()):
            return None
        changes |= {key + end: np.ascontiguousarray(v, dtype=dtype) for end, v in parts.items()}
    data: bytes = safetensors.numpy.save(changes)
    return data if len(data) <= WORTH * len(shared) else None


def _parts(before: Array, after: Array) -> dict[str, Array]:
    """Return a tensor's parts by the ends of their names: two factors, or itself, or none."""
    if after.ndim != 2:
        return {"": after}
    delta = after.astype(np.float64) - before
    rank = numerical_rank(delta, noise=rounding_norm(after))
    if not rank:
        return {}  # nothing but rounding
    if rank * sum(after.shape) >= after.size:
        return {"": after}
    inner, outer = low_rank_factors(delta, rank)
    return {A: outer, B: inner}


def _weights(graph: bytes) -> dict[str, Any]:
    import onnx

    tensors = onnx.load_from_string(graph).graph.initializer
    return {each.name: onnx.numpy_helper.to_array(each) for each in tensors}
