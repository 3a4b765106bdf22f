"""The weights digest: one identity for a set of tensors, in whatever file format they came."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIX = "sha256:"

SHA256 = "[0-9a-f]{64}"
"""Regular expression of a sha256 in hex digits, as manifests and hubs write it."""


class RunningDigest:
    """The weights digest, computed tensor by tensor in the order of their names."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._last: str | None = None

    def update(self, name: str, tensor: Any) -> None:
        """Add a tensor of any dtype and shape; its name must come after all earlier names."""
        assert self._last is None or self._last < name, "tensors must come sorted by name"
        self._last = name
        value = np.asarray(tensor, order="C")
        shape = ",".join(str(size) for size in value.shape)
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        self._hash.update(f"{name}\0{value.dtype.name}\0{shape}\0".encode())
        # As bytes in place: a copy would double the memory of the largest tensor.
        self._hash.update(little.reshape(-1).view(np.uint8).data)

    def result(self) -> str:
        """Return ``"sha256:"`` and 64 hex digits for what was added so far."""
        return PREFIX + self._hash.hexdigest()


def weights_digest(tensors: Mapping[str, Any]) -> str:
    """Hash the sorted (name, dtype, shape, bytes) of all tensors.

    Args:
        tensors: Arrays by name, any dtype and shape. The function holds one at a time: a mapping
            that reads them from a file needs the memory of one tensor.

    Returns:
        ``"sha256:"`` and 64 hex digits; equal for equal tensors in any file format and order.

    Source:
        ``docs/formats.md``, "Weights digest" (own definition).

    >>> weights_digest({"a": np.zeros(2, np.float32)})[:15]
    'sha256:6b16824e'
    """
    digest = RunningDigest()
    for name in sorted(tensors):
        digest.update(name, tensors[name])
    return digest.result()


def json_digest(value: Mapping[str, Any]) -> str:
    """Hash a JSON object, whatever the order of its keys and its layout in a file.

    Args:
        value: What ``json.dumps`` takes.

    Returns:
        ``sha256:`` and 64 hex digits.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
