"""Options that set the thresholds of automatic segmentation.

In: a verb's options. Out: fields of the mode's parameters. Imports nothing heavy at its
top, because the parser is built from it.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser
from typing import TYPE_CHECKING, Any, Protocol

from samzoo.runtime.errors import InputError

from .options import refuse_given

if TYPE_CHECKING:
    from samzoo.runtime.automatic.modes import Mode

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


def given_thresholds(options: ThresholdOptions) -> dict[str, Any]:
    """Return the thresholds that the user gave, by their field of the parameters.

    Args:
        options: The options' values.

    Raises:
        InputError: A value is out of range.
    """
    given = _given(options)
    for name, value in given.items():
        highest = math.inf if name == "min_size" else 1
        if not 0 <= value <= highest:
            allowed = "0 or more" if name == "min_size" else "0 to 1"
            raise InputError(f"--{name.replace('_', '-')}: found {value:g}, allowed is {allowed}")
    return {FIELDS[name]: value for name, value in given.items()}


def mode_thresholds(options: ThresholdOptions, mode: Mode) -> dict[str, Any]:
    """Return the thresholds that the user gave for a mode of automatic segmentation.

    Args:
        options: The options' values.
        mode: The mode.

    Returns:
        As ``given_thresholds``; they replace fields of the mode's own at the scale that is used.

    Raises:
        InputError: A value is out of range, or the mode has no such threshold.
    """
    if mode == "amg":
        refuse_given(_given(options), "the mode amg has no such threshold; omit it")
    return given_thresholds(options)


def _given(options: ThresholdOptions) -> dict[str, Any]:
    values = {name: getattr(options, name) for name in FIELDS}
    return {name: value for name, value in values.items() if value is not None}
