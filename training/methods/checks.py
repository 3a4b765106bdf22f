"""Checks of hyperparameters that several methods have.

Each takes the method's name for the message and raises FormatError with the field, what is allowed
and what was found. ``check_blocks`` is in ``blocks.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Any

from samzoo.runtime.errors import FormatError, shown

INITS = ("reference", "identity")
"""Where training starts: as the code behind the paper's tables does, or at the base exactly."""

MAX_SIZE = 1024
"""Largest rank or projection: the width of ViT-L (own choice; adapters come from strangers)."""


def check_size(method: str, values: Mapping[str, Any], name: str, *, least: int = 1) -> None:
    """Check a rank or a width: a whole number up to ``MAX_SIZE``."""
    value = values[name]
    if type(value) is not int or not least <= value <= MAX_SIZE:
        raise FormatError(
            f"{method}.{name}: allowed is {least} to {MAX_SIZE}, found {shown(value)}"
        )


def check_number(method: str, values: Mapping[str, Any], name: str) -> None:
    """Check a finite number."""
    value = values[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value):
        raise FormatError(f"{method}.{name}: expected a finite number, found {shown(value)}")


def check_dropout(method: str, values: Mapping[str, Any]) -> None:
    """Check ``dropout``: a probability below 1."""
    value = values["dropout"]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1:
        raise FormatError(f"{method}.dropout: allowed is 0 to below 1, found {shown(value)}")


def check_init(method: str, values: Mapping[str, Any]) -> None:
    """Check ``init``: one of ``INITS``."""
    value = values["init"]
    if value not in INITS:
        raise FormatError(f"{method}.init: allowed is {' or '.join(INITS)}, found {shown(value)}")


def check_choice(method: str, values: Mapping[str, Any], name: str) -> None:
    """Check a yes or no."""
    if not isinstance(values[name], bool):
        raise FormatError(f"{method}.{name}: allowed is true or false, found {shown(values[name])}")
