"""What an adapter changes in the weights of a graph that several adapters share.

In: the bytes of an ONNX file, and of a safetensors file. Out: the bytes of the changed ONNX file. A
tensor ``W (m, n)`` changes by a product of factors, ``<name>.a (m, rank)`` and ``<name>.b (rank,
n)``, or is stored anew under its name.

Factors are added in float32, and the sum is rounded to the dtype of the graph's tensor. Dtype and
shape stay, so the new values lie where the old ones did. onnxruntime can exchange tensors, too
(``SessionOptions.add_initializer``), but not those that it has folded into others before.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from samzoo.runtime.budgets import MAX_TENSORS
from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.arrays import Array

from .onnx_file import RawTensor, raw_tensors

ELEMENTS: dict[int, Any] = {1: np.dtype("<f4"), 10: np.dtype("<f2")}
"""Dtypes by ONNX's numbers of element types: those that weights are stored in."""

A, B = ".a", ".b"
"""Ends of the names of a tensor's two factors."""


def changed_graph(graph: bytes, changes: bytes, *, where: str) -> bytes:
    """Apply changes to the tensors of a graph.

    Args:
        graph: The shared ONNX file.
        changes: A safetensors file.
        where: Names the file of changes in messages.

    Returns:
        An ONNX file with the changed tensors, all finite.

    Raises:
        FormatError: The bytes are no safetensors file, or do not fit the graph.
    """
    import safetensors.numpy  # the runtime is imported without it

    try:
        stored = safetensors.numpy.load(changes)
    except (safetensors.SafetensorError, KeyError, ValueError) as error:
        raise FormatError(f"{where}: not a safetensors file ({error})") from error
    if len(stored) > MAX_TENSORS:
        raise FormatError(f"{where}: {len(stored)} tensors, allowed are {MAX_TENSORS}")
    tensors = raw_tensors(graph, where=where)
    result, done = bytearray(graph), set[str]()
    for name in sorted(stored):
        target = name.removesuffix(A).removesuffix(B) if name not in tensors else name
        if target not in tensors:
            raise FormatError(
                f"{where}: {shown(name)} is no tensor of this mask decoder; the adapter belongs to "
                "another one"
            )
        if target not in done:
            done.add(target)
            start, end = tensors[target].span
            value = _changed(target, tensors[target], graph[start:end], stored, where)
            result[start:end] = value.tobytes()
    return bytes(result)


def _changed(
    name: str, tensor: RawTensor, data: bytes, stored: dict[str, Array], where: str
) -> Array:
    dtype = ELEMENTS.get(tensor.element)
    if dtype is None or len(data) != dtype.itemsize * prod(tensor.shape):
        raise FormatError(
            f"{where}: {name}: the mask decoder stores it in a way that cannot be changed "
            f"(element type {tensor.element})"
        )
    a, b = stored.get(name + A), stored.get(name + B)
    value: Array
    if name in stored:
        value = stored[name]
        if a is not None or b is not None:
            raise FormatError(f"{where}: {name}: found it and factors, allowed is one of them")
        fits = value.shape == tensor.shape
        found = f"the shape {value.shape}"
    elif a is None or b is None:
        raise FormatError(f"{where}: {name}: one of its two factors is missing")
    else:
        fits = (
            len(tensor.shape) == a.ndim == b.ndim == 2
            and (a.shape[0], b.shape[1]) == tensor.shape
            and 1 <= a.shape[1] == b.shape[0] <= min(tensor.shape)
        )
        found = f"factors of {a.shape} and {b.shape}"
    if not fits:
        raise FormatError(f"{where}: {name}: found {found}, the mask decoder has {tensor.shape}")
    if a is not None and b is not None:
        weight = np.frombuffer(data, dtype).reshape(tensor.shape).astype(np.float32)
        value = weight + a.astype(np.float32) @ b.astype(np.float32)
    with np.errstate(over="ignore"):
        result: Array = np.ascontiguousarray(value, dtype=dtype)
    if not np.isfinite(result).all():
        raise FormatError(f"{where}: {name}: holds values that are not finite")
    return result
