"""Options that set the thresholds of automatic segmentation.

In: a verb's options and the model. Out: the parameters of the mode. Imports nothing heavy at its
top, because the parser is built from it.
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Protocol

from samzoo.runtime.errors import InputError

if TYPE_CHECKING:
    from samzoo.runtime.automatic.modes import Mode, Parameters
    from samzoo.runtime.formats.config import ModelConfig

FIELDS = {
    "foreground_threshold": "foreground_threshold",
    "center_threshold": "center_distance_threshold",
    "boundary_threshold": "boundary_distance_threshold",
    "min_size": "min_size",
}
"""Option: field of ``AisParameters`` and ``ApgParameters``."""


class ThresholdOptions(Protocol):
    """The options of ``add_thresholds``; None stands for the model's own value."""

    @property
    def foreground_threshold(self) -> float | None:
        """Probability above which a pixel is foreground."""

    @property
    def center_threshold(self) -> float | None:
        """Distance to an object's centre below which a seed lies."""

    @property
    def boundary_threshold(self) -> float | None:
        """Inverted distance to an object's boundary below which a seed lies."""

    @property
    def min_size(self) -> int | None:
        """Least size of an object in pixels."""


def add_thresholds(parser: ArgumentParser) -> None:
    """Add the options that replace the model's own thresholds."""
    parser.add_argument(
        "--foreground-threshold", type=float, metavar="P",
        help="probability from which a pixel belongs to an object, 0 to 1: lower it if objects "
        "come out too small or are missing (default: the model's)",
    )  # fmt: skip
    parser.add_argument(
        "--center-threshold", type=float, metavar="D",
        help="distance from an object's centre, 0 to 1, within which its seed lies: lower it if "
        "objects are joined, raise it if they are missing (default: the model's)",
    )  # fmt: skip
    parser.add_argument(
        "--boundary-threshold", type=float, metavar="D",
        help="nearness to an object's boundary, 0 to 1, below which its seed lies: as "
        "--center-threshold (default: the model's)",
    )  # fmt: skip
    parser.add_argument(
        "--min-size", type=int, metavar="PIXELS",
        help="leave out objects of fewer pixels (default: the model's)",
    )  # fmt: skip


def chosen_thresholds(options: ThresholdOptions, mode: Mode, config: ModelConfig) -> Parameters:
    """Return the parameters of a mode, with the thresholds that the user gave.

    Args:
        options: The options' values.
        mode: The mode.
        config: The model's config, whose own thresholds are those of ``ais``.

    Returns:
        The parameters.

    Raises:
        InputError: A value is out of range, or the mode has no such threshold.
    """
    from samzoo.runtime.automatic.amg import AmgParameters
    from samzoo.runtime.automatic.apg import ApgParameters

    given = {name: getattr(options, name) for name in FIELDS}
    given = {name: value for name, value in given.items() if value is not None}
    for name, value in given.items():
        shown = f"--{name.replace('_', '-')}"
        if mode == "amg":
            raise InputError(f"{shown}: the mode amg has no such threshold; omit it")
        highest = 1 if isinstance(value, float) else None
        if not value >= 0 or (highest is not None and value > highest):
            allowed = "0 to 1" if highest else "0 or more"
            raise InputError(f"{shown}: found {value:g}, allowed is {allowed}")
    fields = {FIELDS[name]: value for name, value in given.items()}
    if mode == "amg":
        return AmgParameters()
    if mode == "apg":
        return ApgParameters(**fields)
    return dataclasses.replace(config.ais, **fields)
