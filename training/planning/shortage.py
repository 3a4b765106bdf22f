"""The answer when memory runs out in training: what a run needs, and what would take less.

In: the error, and what the run was given. Out: one sentence.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.training.config import TrainConfig

from .forecast import RECOMMENDED, forecast_of
from .machine import this_machine

SIGNS = ("can't allocate memory", "out of memory", "not enough memory")
"""Parts of torch's messages, of a CPU's allocator and a GPU's: their errors share no class."""


def is_shortage(error: BaseException) -> bool:
    """Tell whether an error says that memory ran out."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in SIGNS)


def what_takes_less(base: Path, method: str, config: TrainConfig) -> str:
    """Say what a run needs, and which settings and methods need less, from the least change on.

    Args:
        base: The base's folder.
        method: The run's method.
        config: The run's settings.
    """
    base_config, machine = ModelConfig.read(base / CONFIG_FILE), this_machine(measure_speed=False)

    def gigabytes(name: str, settings: TrainConfig) -> float:
        return forecast_of(base_config, name, settings, machine).memory / 2**30

    if config.recompute_blocks == "auto":  # what the run did
        fits = forecast_of(base_config, method, config, machine).fits
        config = dataclasses.replace(config, recompute_blocks=not fits)
    own = gigabytes(method, config)
    others: list[tuple[str, str, TrainConfig]] = []
    if config.batch_size > 1:
        single = dataclasses.replace(config, batch_size=1, accumulate=config.accumulate * 2)
        others.append(("batch_size = 1", method, single))
    if not config.recompute_blocks:
        again = dataclasses.replace(config, recompute_blocks=True)
        others.append(("recompute_blocks = true", method, again))
    if config.n_objects > 1:
        fewer = dataclasses.replace(config, n_objects=config.n_objects // 2)
        others.append((f"n_objects = {config.n_objects // 2}", method, fewer))
    others += [
        (f"--method {name}", name, dataclasses.replace(config, hyperparameters={}))
        for name in RECOMMENDED.values()
        if name != method
    ]
    found = [(words, gigabytes(name, settings)) for words, name, settings in others]
    less = [f"{words} ({size:.1f} GB)" for words, size in found if size < own]
    helps = f"; less take: {', '.join(less)}" if less else ""
    return (
        f"out of memory: the method {method} with these settings needs about {own:.1f} GB, and "
        f"{(machine.free + machine.resident) / 2**30:.1f} GB are there{helps}. The last checkpoint "
        "is kept; samzoo plan shows all methods"
    )
