"""What ``samzoo export --target`` writes: the model in the formats of other tools, one module each.

A target is a folder inside the package, ``PACKAGE/NAME/``. Its module defines ``TARGET``; adding
one is adding a module and a line of ``MODULES``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from importlib import import_module

from samzoo.runtime.errors import InputError, shown
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
    "bioimageio": "bioimageio",
}
"""Module of each target by its name, in the order in which they are listed and written."""

ALL = "all"
"""Stands for every target that can take the model."""


def get_target(name: str) -> Target:
    """Return a target by its name.

    Raises:
        InputError: There is none of that name; lists those there are.
    """
    if name not in MODULES:
        raise InputError(f"target: found {shown(name)}, allowed: {', '.join([*MODULES, ALL])}")
    target: Target = import_module(f"{__name__}.{MODULES[name]}").TARGET
    return target


def choose_targets(names: Sequence[str]) -> list[Target]:
    """Look targets up by their names, for ``samzoo.zoo.export``.

    Args:
        names: As the user gave them; ``all`` means every one that can take the model.

    Returns:
        The targets, each once, in the order of ``MODULES``. Those that only ``all`` stands for are
        optional: ``export`` leaves out what cannot take the model.

    Raises:
        InputError: A name is not known; lists those there are.
    """
    named = {name: get_target(name) for name in names if name != ALL}
    others = {
        name: dataclasses.replace(get_target(name), optional=True)
        for name in (MODULES if ALL in names else ())
    }
    wanted = {**others, **named}
    return [wanted[name] for name in MODULES if name in wanted]
