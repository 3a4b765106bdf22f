"""A ledger of what torch computes: bytes in use, bytes moved, and floating point operations.

In: code that runs under it, on fake tensors, which have shapes and no values. Out: the numbers.
"""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

_CONVOLUTIONS = (torch.ops.aten.convolution, torch.ops.aten.convolution_backward)
"""Operations for which oneDNN copies all inputs and outputs to a layout of its own and back."""


class Ledger(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own
    """Counts while it is active. It must be entered inside of a ``FakeTensorMode``.

    Memory that a kernel uses for itself and gives back is not seen.

    Attributes:
        live: Bytes of all tensors made so far that still exist.
        peak: Largest ``live`` since the last ``start``.
        moved: Bytes that all operations read and wrote since the last ``start``; views cost none.
        flops: Floating point operations of matrix products and convolutions since then.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's own
        self.live = self.peak = self.moved = self.flops = 0
        self._known: set[int] = set()

    def start(self) -> None:
        """Begin a new part: what lives goes on to count, the rest is zero."""
        self.peak, self.moved, self.flops = self.live, 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and enter it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        inputs = {s._cdata: s for s in map(_storage, tree_leaves((args, kwargs))) if s is not None}
        fresh = False
        for value in tree_leaves(out):
            storage = _storage(value)
            if storage is None:
                continue
            written = storage._cdata not in inputs
            fresh |= written
            if written:
                self._enter(storage)
        if func._overloadpacket in _CONVOLUTIONS:
            large = sum(map(_bytes, tree_leaves(args))) + sum(map(_bytes, tree_leaves(out)))
            self.peak = max(self.peak, self.live + large)
        if fresh or func._schema.is_mutable:
            self.moved += sum(_bytes(each) for each in tree_leaves((args, kwargs, out)))
        if (count := flop_registry.get(func._overloadpacket)) is not None:
            self.flops += int(count(*args, **kwargs, out_val=out))
        return out

    def _enter(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.live -= size


def _storage(value: Any) -> Any:
    return value.untyped_storage() if isinstance(value, Tensor) else None


def _bytes(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, Tensor) else 0
