"""The choice of a run between time and memory: what is computed again, and what freed memory does.

In: a base, a method, settings, this machine. Out: a ``MemoryChoice``, by the forecast of what a run
needs. It changes no result.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from samzoo.runtime.formats.config import ModelConfig
from samzoo.training.config import TrainConfig
from samzoo.training.learning.precision import Precision

from .forecast import forecast_of
from .machine import Machine, this_machine

KEPT = 1.5
"""What a run may take that keeps freed memory, as a multiple of what it needs. Measured: 1 to 37 %
more on two encoders (``docs/plan.md``)."""


@dataclass(frozen=True)
class MemoryChoice:
    """How a run handles memory.

    Attributes:
        recompute: Whether the backward pass computes the blocks' intermediate results again.
        keep_freed: Whether freed memory stays in the process, which is faster.
        sentences: What a person should know of it.
    """

    recompute: bool
    keep_freed: bool
    sentences: tuple[str, ...] = ()


def chosen_memory(
    base: ModelConfig,
    method: str,
    config: TrainConfig,
    *,
    precision: Precision,
    processes: int = 1,
    machine: Machine | None = None,
) -> MemoryChoice:
    """Choose how a run handles memory, if ``recompute_blocks`` is ``auto``.

    Args:
        base: The base's config.
        method: The method's name.
        config: The run's settings.
        precision: The run's precision.
        processes: Processes that train beside each other, which share a CPU's memory.
        machine: Where it runs; this machine by default.

    Returns:
        With another ``recompute_blocks``: that, and memory that is kept.

    Raises:
        InputError: The method is unknown.
        FormatError: A hyperparameter is unknown or out of range.
    """
    if config.recompute_blocks != "auto":
        return MemoryChoice(config.recompute_blocks, keep_freed=True)
    machine = machine or this_machine(measure_speed=False)
    if machine.device == "cpu":
        machine = dataclasses.replace(machine, free=machine.free // processes)
    forecast = forecast_of(base, method, config, machine, precision=precision)
    there, needed, less = (
        machine.free + machine.resident,
        forecast.memory,
        forecast.memory_recomputed,
    )
    if less is None:
        return _kept(needed, there, recompute=False)
    told = (
        f"recompute_blocks is on: the run needs about {_gigabytes(needed)} without it and "
        f"{_gigabytes(less)} with it, and {_gigabytes(there)} are there"
    )
    if less > there:
        told += "; even that may not be enough, samzoo plan shows what takes less"
    return _kept(less, there, told, recompute=True)


def _kept(needed: int, there: int, *told: str, recompute: bool) -> MemoryChoice:
    keep = KEPT * needed <= there
    if not keep:
        told += (
            "freed memory goes back to the system, which is slower and takes less: the run needs "
            f"about {_gigabytes(needed)}, and half as much again is not there",
        )
    return MemoryChoice(recompute, keep, told)


def _gigabytes(size: int) -> str:
    return f"{size / 2**30:.1f} GB"
