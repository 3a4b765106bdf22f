"""The forecast of a run: memory, time and parameters of each method, and which one to take.

In: a base's config, settings, a machine. Out: a row for each method, and a recommendation.

Source of the recommendation: Teuber et al., PEFT-SAM (MIDL 2025), appendix E.3.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from samzoo.runtime.formats.architecture import LightDecoderConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.training.config import TrainConfig
from samzoo.training.learning.precision import Precision
from samzoo.training.methods import get_method
from samzoo.training.methods.counts import count_trainable
from samzoo.training.methods.method import FROZEN_SHARE

from .machine import Machine
from .step_cost import StepCost, cost_of_step

LOADED = 3
"""Copies of all weights while a base is read: the file's, the base's and the model's."""

RECOMMENDED = {"cpu": "freeze_encoder", "gpu": "late_full", "server": "full"}
"""The paper's method for a CPU, for a consumer's GPU and for a server's (appendix E.3)."""

REASONS = {
    "cpu": "the paper's choice on a CPU: freeze the image encoder",
    "gpu": "the paper's choice on a consumer's GPU: finetune the late blocks",
    "server": "the paper's choice on a server's GPU: finetune everything",
}


@dataclass(frozen=True)
class Forecast:
    """What one method will need.

    Attributes:
        method: Its name.
        trainable: Number of parameters that train, the AIS decoder's among them.
        memory: Most bytes that the process, or the GPU, needs.
        model_memory: The part of it that the model and its steps need.
        fits: Whether it is free.
        memory_recomputed: ``memory`` with ``recompute_blocks``; None if it fits without.
        fits_recomputed: Whether that is free.
        first_seconds: Estimated seconds of a step on a crop that comes for the first time; None if
            unknown.
        seconds: Estimated seconds of a step on a crop that came before; it is less where the
            frozen part of the encoder is stored.
    """

    method: str
    trainable: int
    memory: int
    model_memory: int
    fits: bool
    memory_recomputed: int | None
    fits_recomputed: bool
    first_seconds: float | None
    seconds: float | None


def forecast_of(
    base: ModelConfig,
    method: str,
    config: TrainConfig,
    machine: Machine,
    *,
    precision: Precision = "32-true",
) -> Forecast:
    """Say what a run with a method will need.

    Args:
        base: The base's config.
        method: The method's name.
        config: The run's settings.
        machine: Where it runs.
        precision: The run's precision.

    Raises:
        InputError: The method is unknown.
        FormatError: A hyperparameter is unknown or out of range.
    """
    row = get_method(method)
    settings = row.resolved(row.settings(config.hyperparameters, where="config"), base.architecture)
    share = row.frozen_share(settings, base.architecture)
    stored = share >= FROZEN_SHARE and config.cached_crops > 0
    cost = cost_of_step(base, row, settings, config, precision=precision, stored=stored)
    memory, there = needed(cost, machine), machine.free + machine.resident
    less: int | None = None
    if memory > there and config.recompute_blocks is not True:
        again = dataclasses.replace(config, recompute_blocks=True)
        less = needed(
            cost_of_step(base, row, settings, again, precision=precision, stored=stored), machine
        )
    decoder = config.ais_decoder and (base.architecture.ais_decoder or config.ais_decoder)
    counts = count_trainable(row, base.architecture, settings, decoder or LightDecoderConfig())
    first = cost.frozen + cost.rest
    return Forecast(
        method=method,
        trainable=counts.trainable_with_ais_decoder if decoder else counts.trainable,
        memory=memory,
        model_memory=memory - machine.resident,
        fits=memory <= there,
        memory_recomputed=less,
        fits_recomputed=memory <= there or (less is not None and less <= there),
        first_seconds=machine.seconds(first),
        seconds=machine.seconds(cost.rest if stored else first),
    )


def needed(cost: StepCost, machine: Machine) -> int:
    """Return the most bytes that a run needs.

    Args:
        cost: A step's cost.
        machine: What of its memory the process takes before it has a model.
    """
    return machine.resident + max(cost.peak, LOADED * cost.weights)


def recommended(rows: Sequence[Forecast], machine: Machine) -> tuple[str, str] | None:
    """Choose the paper's method for a machine, or the largest that fits if that does not.

    Args:
        rows: The forecasts.
        machine: The machine.

    Returns:
        The method's name and the reason; None if none fits.
    """
    kind = "server" if machine.on_server else "cpu" if machine.device == "cpu" else "gpu"
    by_name = {row.method: row for row in rows if row.fits}
    if (wanted := RECOMMENDED[kind]) in by_name:
        return wanted, REASONS[kind]
    for other in reversed(RECOMMENDED.values()):
        if other in by_name:
            return other, f"{REASONS[kind]}, but {wanted} does not fit"
    return None
