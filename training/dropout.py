"""Dropout that acts in training steps only, in a network that otherwise stays in eval mode.

The whole network stays in eval mode, for its BatchNorm layers' sake; of the methods' layers, only
dropout differs in training. Called by ``learner.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def dropout_acting(module: nn.Module) -> Iterator[None]:
    """Let all dropout in a module act for the time of a block."""
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Dropout)]
    try:
        for layer in layers:
            layer.train()
        yield
    finally:
        for layer in layers:
            layer.eval()
