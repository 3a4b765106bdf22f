"""What ``samzoo export --target`` writes: the model in the formats of other tools, one module each.

A target is a folder inside the package, ``PACKAGE/NAME/``. Its module defines ``TARGET``; adding
one is adding a module and a line of ``MODULES``.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.packages.target import Source, Target

__all__ = ["ALL", "MODULES", "Source", "Target", "get_target", "select_targets"]

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


def select_targets(
    names: Sequence[str], config: ModelConfig
) -> tuple[list[Target], dict[str, str]]:
    """Find the targets that are wanted and can take a model.

    Args:
        names: As the user gave them; ``all`` means every one that can take the model.
        config: Of the model.

    Returns:
        The targets, each once, in the order of ``MODULES``; and why the others of ``all`` cannot
        take the model, by name.

    Raises:
        InputError: A name is not known, or a target that was named cannot take the model.
    """
    wanted = {name: get_target(name) for name in names if name != ALL}
    for name, target in wanted.items():
        if reason := target.refusal(config):
            raise InputError(f"target {name}: {reason}")
    refused = {}
    for name in MODULES if ALL in names else ():
        if name in wanted:
            continue
        target = get_target(name)
        if reason := target.refusal(config):
            refused[name] = reason
        else:
            wanted[name] = target
    return [wanted[name] for name in MODULES if name in wanted], refused
