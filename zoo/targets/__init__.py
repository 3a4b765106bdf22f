"""The formats of other tools that ``samzoo export --target`` writes, one module for each.

A target is a folder inside the package, ``PACKAGE/NAME/``. Its module defines ``TARGET``. To add a
target, add a module and a line in ``MODULES``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import import_module

from samzoo.runtime.errors import InputError, did_you_mean, shown
from samzoo.zoo.packages.target import Source, Target

__all__ = ["ALL", "MODULES", "Source", "Target", "choose_targets", "get_target"]

MODULES = {
    "segment-anything": "segment_anything",
    "micro-sam": "micro_sam",
    "huggingface": "huggingface",
    "transformers-js": "transformers_js",
    "samexporter": "samexporter",
    "anylabeling": "anylabeling",
    "x-anylabeling": "x_anylabeling",
    "osam": "osam",
    "cvat": "cvat",
    "label-studio": "label_studio",
    "qupath": "qupath",
    "bioimageio": "bioimageio.zips",
}
"""Module of each target by its name, in the order in which they are listed and written."""

ALL = "all"
"""The name that stands for every target that can take the model."""


def get_target(name: str) -> Target:
    """Return a target by its name.

    Raises:
        InputError: There is no target of that name; the message lists the known ones.
    """
    if name not in MODULES:
        raise InputError(
            f"target: found {shown(name)}, allowed: {', '.join([*MODULES, ALL])}"
            f"{did_you_mean(name, [*MODULES, ALL])}"
        )
    target: Target = import_module(f"{__name__}.{MODULES[name]}").TARGET
    return target


def choose_targets(names: Sequence[str]) -> list[Target]:
    """Look targets up by their names, for ``samzoo.zoo.export``.

    Args:
        names: Names that the user gave; ``all`` means every target that can take the model.

    Returns:
        The targets, each once, in the order of ``MODULES``. Targets that only ``all`` includes are
        optional: ``export`` leaves them out if they cannot take the model.

    Raises:
        InputError: A name is unknown; the message lists the known ones.
    """
    named = {name: get_target(name) for name in names if name != ALL}
    others = {
        name: dataclasses.replace(get_target(name), optional=True)
        for name in (MODULES if ALL in names else ())
    }
    wanted = {**others, **named}
    return [wanted[name] for name in MODULES if name in wanted]
