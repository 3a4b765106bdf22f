"""The exponential moving average of the trained weights.

In: the weights after each step. Out: their average, which replaces the weights for validation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from .interrupts import interrupts_held_back

WARMUP = 10
"""Steps of a short average at the start: decay is at most ``(1 + step) / (10 + step)`` (own
choice)."""


class WeightAverage:
    """The average of weights over steps; with a decay of 0 there is none.

    Args:
        weights: Trained parameters by name.
        decay: Decay of the average at each step, 0 to 1.

    Attributes:
        values: The averages by name; empty if there is no average.
    """

    def __init__(self, weights: Mapping[str, Tensor], decay: float) -> None:
        self._weights, self._decay = weights, decay
        self.values: dict[str, Tensor] = (
            {name: value.detach().clone() for name, value in weights.items()} if decay else {}
        )

    def update(self, step: int) -> None:
        """Add the weights to the average after a number of steps."""
        decay = min(self._decay, (1 + step) / (WARMUP + step))
        with torch.no_grad():
            for name, value in self.values.items():
                value.lerp_(self._weights[name], 1 - decay)

    def best_weights(self) -> dict[str, Tensor]:
        """Return the weights to validate and keep: the average, or the weights without one."""
        return {**self._weights, **self.values}

    def settle(self, prefix: str) -> None:
        """Replace the weights whose names have a prefix by their average."""
        self._copy({n: v for n, v in self.values.items() if n.startswith(prefix)})

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put the average into the model inside a ``with`` block."""
        kept = {name: self._weights[name].detach().clone() for name in self.values}
        try:
            with interrupts_held_back():
                self._copy(self.values)
            yield
        finally:
            with interrupts_held_back():
                self._copy(kept)

    def _copy(self, values: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self._weights[name].copy_(value)
