"""The plan of a training run: what each method needs on this machine, as rows and as a table.

In: a base folder and settings. Out: JSON rows, text, and which method to take. Nothing is trained
and no weight is read.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samzoo.runtime.dependencies import require_installed
from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.training.config import TrainConfig
from samzoo.training.methods import METHODS, get_method

from .columns import text_table
from .methods_listing import millions

if TYPE_CHECKING:
    from samzoo.training.planning.forecast import Forecast
    from samzoo.training.planning.machine import Machine


def plan_of_training(
    base: Path, config: TrainConfig, *, method: str | None = None, image_size: int | None = None
) -> dict[str, Any]:
    """Forecast what training needs on this machine.

    Args:
        base: Folder with a ``config.json``; its weights are not read.
        config: The run's settings.
        method: One method; by default all.
        image_size: Side of the encoder's input in pixels, instead of the base's.

    Returns:
        ``machine``, ``methods`` (a row for each), ``recommended`` (a method's name, or None),
        ``reason``, and ``text``, a table for people.

    Raises:
        InputError: The method is unknown, or the config's hyperparameters belong to one method
            and none is named, or no encoder has this image size.
        NotFoundError: There is no base.
        FormatError: The base is damaged.
        MissingDependencyError: torch is not installed.
    """
    names = list(METHODS) if method is None else [method]
    for name in names:
        get_method(name)
    if method is None and config.hyperparameters:
        raise InputError(
            "config: hyperparameters are those of one method; name it with --method, or omit them"
        )
    base_config = ModelConfig.read(base / CONFIG_FILE)
    if image_size is not None:
        base_config = _resized(base_config, image_size)
    require_installed("torch", extra="train")
    require_installed("lightning_fabric", extra="train")
    from samzoo.training.planning.forecast import forecast_of, recommended
    from samzoo.training.planning.machine import this_machine

    machine = this_machine()
    rows = [forecast_of(base_config, name, config, machine) for name in names]
    chosen = recommended(rows, machine)
    return {
        "text": "\n".join([*_head(base_config, config, machine), "", _table(rows), "",
                           *_foot(rows, chosen, one=method is not None)]),
        "machine": dataclasses.asdict(machine),
        "image_size": base_config.image_size,
        "methods": [dataclasses.asdict(row) for row in rows],
        "recommended": chosen[0] if chosen and method is None else None,
    }  # fmt: skip


def _resized(config: ModelConfig, image_size: int) -> ModelConfig:
    encoder = config.architecture.image_encoder
    pixels = encoder.image_size // encoder.grid  # of one embedding
    if image_size < pixels or image_size % pixels:
        raise InputError(f"image size: expected a multiple of {pixels}, found {image_size}")
    try:
        encoder = encoder.replaced(image_size=image_size)
    except FormatError as error:
        raise InputError(f"image size: {error}") from error
    architecture = dataclasses.replace(config.architecture, image_encoder=encoder)
    return dataclasses.replace(config, architecture=architecture)


def _head(base: ModelConfig, config: TrainConfig, machine: Machine) -> list[str]:
    batch = f"{config.batch_size} crop" + ("s" if config.batch_size > 1 else "")
    return [
        f"machine: {machine.device.upper()}, {machine.name}; "
        f"{gigabytes(machine.free)} of {gigabytes(machine.memory)} GB of memory are free",
        f"a step: {batch} of {base.image_size} x {base.image_size} pixels, "
        f"{config.n_objects} objects, {config.n_sub_iteration} rounds"
        + (f", {config.accumulate} times" if config.accumulate > 1 else ""),
    ]


def _table(rows: Sequence[Forecast]) -> str:
    cells = [("method", "trainable [M]", "memory [GB]", "fits", "first step [s]", "later step [s]")]
    cells += [
        (
            row.method,
            millions(row.trainable),
            gigabytes(row.memory),
            _fits(row),
            _seconds(row.first_seconds),
            _seconds(row.seconds),
        )
        for row in rows
    ]
    return text_table(cells)


def _fits(row: Forecast) -> str:
    if row.fits:
        return "yes"
    if row.memory_recomputed is None:
        return "no"
    less = gigabytes(row.memory_recomputed)
    return f"{'with' if row.fits_recomputed else 'no, nor with'} recompute_blocks ({less} GB)"


def _foot(rows: Sequence[Forecast], chosen: tuple[str, str] | None, *, one: bool) -> list[str]:
    told = [
        "Memory is computed from the network's tensors. A run on a CPU keeps freed memory, which "
        "is faster, and may take half as much again. Seconds are estimated from this machine's "
        "speed in matrix products and passes over memory, measured just now.",
    ]
    if one:
        return told
    if chosen is None:
        return [*told, "No method fits: take fewer objects, one crop in a batch, or a smaller "
                "image size (samzoo convert BASE --image-size 512 -o SMALLER)."]  # fmt: skip
    return [*told, f"Take --method {chosen[0]}: {chosen[1]}."]


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f}"


def gigabytes(count: int) -> str:
    """Format bytes as GB of 2^30 bytes with one digit."""
    return f"{count / 2**30:.1f}"
