"""The table of encoder families. A new family is a row here and one in ``training.networks``."""

from __future__ import annotations

from typing import Any

from samzoo.runtime.errors import InputError, shown

from .encoder import EncoderConfig
from .family import Family
from .tiny_vit import TINY_VIT
from .vit import VIT

FAMILIES: list[Family[Any]] = [VIT, TINY_VIT]


def family_of(config: EncoderConfig) -> Family[Any]:
    """Return the row of an encoder's family.

    Raises:
        InputError: No row has the config's class.
    """
    for family in FAMILIES:
        if type(config) is family.config:
            return family
    known = ", ".join(family.config.__name__ for family in FAMILIES)
    raise InputError(
        f"image_encoder: found a {shown(type(config).__name__)}, allowed are: {known}; add a row "
        "to FAMILIES in samzoo.runtime.formats.families.table"
    )


def config_classes() -> tuple[type[EncoderConfig], ...]:
    """List the config classes of all families, as ``config.json`` may name them."""
    return tuple(family.config for family in FAMILIES)
