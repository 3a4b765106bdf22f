"""An image encoder as a row of steps, for training.

In: an encoder, cut by its family's network into stem, blocks and neck. Out: embeddings, computed
from any step on. So training can store what comes out of the frozen steps at the start, and can
compute a block's intermediate results again in the backward pass instead of keeping them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


@dataclass(frozen=True)
class EncoderStep:
    """A part of an encoder that uses the output of the part before it and nothing else.

    Attributes:
        run: Computes it: from images, or from the output of the step before.
        parameters: All its parameters, those that methods add to its layers among them.
    """

    run: Callable[[Tensor], Tensor]
    parameters: tuple[nn.Parameter, ...]


def step_of(run: Callable[[Tensor], Tensor], *parts: nn.Module | nn.Parameter) -> EncoderStep:
    """Make a step from a function and what it computes with."""
    found: list[nn.Parameter] = []
    for part in parts:
        found += [part] if isinstance(part, nn.Parameter) else part.parameters()
    return EncoderStep(run, tuple(found))


def frozen_steps(steps: Sequence[EncoderStep]) -> int:
    """Count the steps before the first one that trains; all, if none does."""
    for count, step in enumerate(steps):
        if any(parameter.requires_grad for parameter in step.parameters):
            return count
    return len(steps)


def run_steps(steps: Iterable[EncoderStep], x: Tensor, *, recompute: bool = False) -> Tensor:
    """Compute steps one after the other.

    Args:
        steps: Some steps that follow each other.
        x: Input of the first one.
        recompute: Keep only each step's input for the backward pass, which computes the rest
            again. Results and gradients are the same, to the last bit.

    Returns:
        Output of the last one.
    """
    for step in steps:
        trains = torch.is_grad_enabled() and (
            x.requires_grad or any(p.requires_grad for p in step.parameters)
        )
        x = checkpoint(step.run, x, use_reentrant=False) if recompute and trains else step.run(x)
    return x
