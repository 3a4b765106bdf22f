"""Layers that act only during training steps, in a network that otherwise stays in eval mode.

In: a module. Out: context managers that let its dropout or its BatchNorm act. The network stays in
eval mode, so that BatchNorm keeps its published statistics. Two kinds of layers act differently in
training: dropout in the methods' layers, and BatchNorm in a fresh AIS decoder, which has yet to
learn its statistics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def dropout_acting(module: nn.Module) -> Iterator[None]:
    """Let all dropout in a module act inside a ``with`` block."""
    with _in_training([layer for layer in module.modules() if isinstance(layer, nn.Dropout)]):
        yield


@contextmanager
def statistics_learned(module: nn.Module) -> Iterator[None]:
    """Let all BatchNorm in a module use and learn the input's statistics inside a block."""
    with _in_training(_batch_norms(module)):
        yield


def statistics_of(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return the running statistics of all BatchNorm in a module; names begin with a prefix."""
    norms = {id(layer) for layer in _batch_norms(module)}
    return {
        f"{prefix}{name}.{buffer}": getattr(layer, buffer)
        for name, layer in module.named_modules()
        if id(layer) in norms
        for buffer in ("running_mean", "running_var")
    }


def _batch_norms(module: nn.Module) -> list[nn.Module]:
    return [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm2d)]


@contextmanager
def _in_training(layers: list[nn.Module]) -> Iterator[None]:
    try:
        for layer in layers:
            layer.train()
        yield
    finally:
        for layer in layers:
            layer.eval()
