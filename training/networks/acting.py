"""Layers that act in training steps only, in a network that otherwise stays in eval mode.

The whole network stays in eval mode, so that BatchNorm keeps the statistics it was published with;
of the methods' layers only dropout differs in training, and of a fresh AIS decoder BatchNorm, whose
statistics have yet to be learned.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


@contextmanager
def dropout_acting(module: nn.Module) -> Iterator[None]:
    """Let all dropout in a module act for the time of a block."""
    with _in_training([layer for layer in module.modules() if isinstance(layer, nn.Dropout)]):
        yield


@contextmanager
def statistics_learned(module: nn.Module) -> Iterator[None]:
    """Let all BatchNorm in a module use an input's statistics, and take them in, in a block."""
    with _in_training(_batch_norms(module)):
        yield


def statistics_of(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Return the running statistics of all BatchNorm in a module, by name behind a prefix."""
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
