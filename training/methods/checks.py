"""Checks of the ranges of settings that several methods have.

In: a value and, for the message, its field. Out: nothing, or a FormatError with the field, what is
allowed and what was found. Types are checked by ``samzoo.runtime.formats.fields``;
``check_blocks`` is in ``blocks.py``.
"""

from __future__ import annotations

from typing import Literal

from samzoo.runtime.errors import FormatError

SECTION = "hyperparameters"
"""The field of a config with a method's settings; messages name a setting below it."""

Init = Literal["reference", "identity"]
"""The start of training: as in the code behind the paper's tables, or exactly at the base."""

MAX_SIZE = 1024
"""Largest rank or projection: the width of ViT-L (own choice; adapters come from strangers)."""


def check_size(name: str, value: int, *, least: int = 1) -> None:
    """Check a rank or a width: ``least`` to ``MAX_SIZE``."""
    if not least <= value <= MAX_SIZE:
        raise FormatError(f"{SECTION}.{name}: allowed is {least} to {MAX_SIZE}, found {value}")


def check_dropout(value: float) -> None:
    """Check ``dropout``: a probability below 1."""
    if not 0 <= value < 1:
        raise FormatError(f"{SECTION}.dropout: allowed is 0 to below 1, found {value}")
