"""A run that goes on: what may differ from how it was started, and what differs but may not.

In: the settings of a run and those that its checkpoint holds. Out: nothing, or an error that names
each key and image that differs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.training.data.annotated import AnnotatedImage
from samzoo.training.learning.precision import Precision

from .state import read_progress

MAY_CHANGE = ("epochs", "max_minutes", "early_stopping", "recompute_blocks")
"""Keys of the config that may differ in a run that goes on: those that say when it ends, since it
may end later, or earlier, and one that changes memory and time alone."""

MOST_NAMED = 5
"""Differences in one message (own choice)."""


def images_used(
    train_data: Sequence[AnnotatedImage], val_data: Sequence[AnnotatedImage]
) -> dict[str, list[list[str]]]:
    """Return name, digest, group and weight of each image, for training and for validation.

    The digest is that of the image with its labels; an image without a group has no third value,
    unless it has a weight, the fourth.
    """
    roles = {"training": train_data, "validation": val_data}
    return {role: [[a.name, a.digest, *_drawn_by(a)] for a in data] for role, data in roles.items()}


def _drawn_by(image: AnnotatedImage) -> list[str]:
    """Return what says how often an image is drawn, without what is not set."""
    if image.weight != 1:
        return [image.group, f"{image.weight:g}"]
    return [image.group] if image.group else []


def stored_settings(path: Path) -> dict[str, Any]:
    """Read the settings that the last checkpoint of a run holds.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is no such checkpoint.
    """
    settings = read_progress(path).get("settings")
    if not isinstance(settings, dict):
        raise FormatError(f"{path}: not the last checkpoint of a training run")
    return settings


def stored_precision(path: Path) -> Precision | None:
    """Read the precision that a run began with; None if its checkpoint does not say it.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is no such checkpoint.
    """
    found = stored_settings(path).get("precision")
    return found if found in get_args(Precision) else None


def refuse_changes(path: Path, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Refuse to go on with a run that was started with something else.

    Args:
        path: The checkpoint, named in messages.
        ours: Method, base, config, images and so on of now.
        theirs: Those of the checkpoint. What it does not hold, because it is older, may be
            anything.

    Raises:
        InputError: Something differs that may not.
    """
    found = _differences(ours, theirs)
    if not found:
        return
    named = "; ".join(found[:MOST_NAMED])
    rest = f"; and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
    raise InputError(
        f"{path}: this run was started with something else: {named}{rest}. Resume it with the "
        "same base, images and settings, or choose another output folder"
        f" (what may change: {', '.join(MAY_CHANGE)})"
    )


def _differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    found = []
    for key, value in ours.items():
        other = theirs.get(key, value)
        if other == value:
            continue
        if key == "config":
            found += _in_config(value, other)
        elif key == "images":
            for role in value:
                found += _in_images(role, value[role], other.get(role, []))
        elif not (key.endswith("data_digest") and "images" in theirs):  # images say it better
            found.append(f"{key}: now {shown(value)}, then {shown(other)}")
    return found


def _in_config(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: now {shown(ours.get(key))}, then {shown(theirs.get(key))}"
        for key in sorted({*ours, *theirs})
        if key not in MAY_CHANGE and key in theirs and ours.get(key) != theirs[key]
    ]


def _in_images(role: str, ours: list[list[str]], theirs: list[list[str]]) -> list[str]:
    if ours == theirs:
        return []
    before, now = ({name: rest for name, *rest in images} for images in (theirs, ours))
    found = [f"the {role} image {name} is new" for name in now if name not in before]
    found += [f"the {role} image {name} is missing" for name in before if name not in now]
    changed = [name for name in now if name in before and before[name] != now[name]]
    found += [
        f"the {role} image {name}, or its labels, changed"
        if before[name][0] != now[name][0]
        else f"the group or weight of the {role} image {name} changed"
        for name in changed
    ]
    return found or [f"the {role} images have another order or number"]
