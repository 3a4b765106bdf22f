"""The formats of other tools that ``samzoo export --target`` writes, one module for each.

A target is a folder inside the package, ``PACKAGE/NAME/``. Its module defines ``TARGET``. To add a
target, add a module and a line in ``MODULES``.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from samzoo.runtime.errors import InputError, did_you_mean, shown, use_each
from samzoo.runtime.formats.manifest import CARD_FILE
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.differences import (
    MICRO_SAM,
    holds_decoder,
    lost_answers,
    lost_decoder,
    preparation_sentence,
)
from samzoo.zoo.packages.target import Source, Target
from samzoo.zoo.tools.agreement import measure
from samzoo.zoo.tools.readme import folder_text, measured_sentence

__all__ = ["ALL", "MODULES", "Source", "Target", "choose_targets", "get_target"]

logger = logging.getLogger(__name__)

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
    return dataclasses.replace(target, write=partial(_write, target))


def _write(target: Target, folder: Path, source: Source) -> None:
    """Fill a target's folder, run what was written, and say beside it what it means."""
    target.write(folder, source)
    if target.path is None:
        return
    rows = measure(folder, source, target.path)
    source.measured[target.name] = rows
    write_bytes(folder / CARD_FILE, folder_text(target, target.path, source, rows).encode())
    config, where = source.config, source.manifest.name
    if told := preparation_sentence(config, target.path):
        logger.warning(
            "%s: %s: %s; %s; see %s/%s in the package",
            where, target.name, told, measured_sentence(rows), target.name, CARD_FILE,
        )  # fmt: skip
    for told in lost_answers(config, target.path):
        logger.warning("%s: %s: %s", where, target.name, told)
    if lost_decoder(config, target.path):
        source.once("decoder told", partial(_tell_decoder, source))


def _tell_decoder(source: Source) -> bool:
    """Say once for all targets that most tools have no AIS."""
    ais = source.config.architecture.ais_decoder
    logger.warning(
        "%s: the AIS decoder (%s) is only in the files for %s; other tools do not segment "
        "automatically with it", source.manifest.name, ais.type if ais is not None else "",
        " and ".join([MICRO_SAM.name] * holds_decoder(source.config, MICRO_SAM) + ["bioimageio"]),
    )  # fmt: skip
    return True


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
    wanted_names = [name for name in names if name != ALL]
    named = dict(zip(wanted_names, use_each("targets", wanted_names, get_target), strict=True))
    others = {
        name: dataclasses.replace(get_target(name), optional=True)
        for name in (MODULES if ALL in names else ())
    }
    wanted = {**others, **named}
    return [wanted[name] for name in MODULES if name in wanted]
