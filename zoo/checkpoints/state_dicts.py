"""The state dict of a SAM in whatever a training tool put around it.

In: what a checkpoint file holds: dicts in dicts, with tensors or their descriptions as leaves. Out:
the tensors of one SAM by its own names, and micro-sam's AIS decoder beside it.

Tools wrap a SAM twice: in containers (``model_state_dict``, ``ema``, ``state_dict``) and in
prefixes of its names (``module.``, ``_orig_mod.``, ``model.sam.``). Both are one thing here: what
stands before the name of a tensor that every SAM has. No table of wrappers is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samzoo.runtime.budgets import MAX_TENSORS
from samzoo.runtime.errors import FormatError, InputError, shown

from .known import refuse_other_networks
from .pickle_machine import Placeholder
from .stored_tensors import StoredTensor

logger = logging.getLogger(__name__)

ANCHORS = ("image_encoder.neck.0.weight", "vision_encoder.neck.conv1.weight")
"""A tensor that every SAM has, by segment-anything's and by Hugging Face's names. What stands
before it is the wrapping."""

MODEL_STATE, DECODER_STATE = "model_state", "decoder_state"
"""micro-sam's keys, in its exports and in the checkpoints of its trainer."""

INNER_WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""What torch's compile, FSDP and activation checkpointing insert anywhere in a name."""

NETWORKS = ("image_encoder", "vision_encoder", "prompt_encoder", "mask_decoder")

PARTS = (*NETWORKS, "ais_decoder", "shared_image_embedding", "pixel_mean", "pixel_std")
"""First parts of the names in a SAM's state dict: by segment-anything's names (its buffers of pixel
statistics too, which some finetuning code saves), Hugging Face's and ours."""

OUTER_WRAPPERS = ("module", "model", "net", "network", "sam", "sam_model", *INNER_WRAPPERS)
"""Prefixes to strip where there is no anchor: in adapters and AIS decoders, which are not a whole
SAM. Source: torch, Lightning, micro-sam, MONAI."""

MAX_DEPTH = 12
"""Deepest nesting of containers (own choice; published checkpoints have up to 5)."""

MAX_VALUES = 500_000
"""Most values in all containers. A ViT-H SAM with its optimizer has about 5000 (own choice)."""

MAX_CHOICES = 8
"""Most keys that a message lists."""


@dataclass(frozen=True)
class Group:
    """The values of one dict that are no containers themselves.

    Attributes:
        path: The keys that lead to the dict, each followed by a dot; empty for the file's own.
        items: Its values by key.
    """

    path: str
    items: Mapping[Any, Any]

    def names(self) -> Iterator[str]:
        """Names of its values with the path, such as ``model.image_encoder.pos_embed``."""
        return (f"{self.path}{key}" for key in self.items)


@dataclass(frozen=True)
class StateDicts:
    """The state dicts in a checkpoint file.

    Attributes:
        model: A SAM's tensors, or those of an adapter or a decoder.
        decoder: The AIS decoder's tensors, by torch-em's names; empty if there are none.
        is_huggingface: The file had Hugging Face's names.
    """

    model: Mapping[str, Any]
    decoder: Mapping[str, Any]
    is_huggingface: bool = False


def groups_of(value: object, path: Path) -> list[Group]:
    """List the dicts in a file's content that hold tensors, or things that could not be read.

    Raises:
        FormatError: The content is nested too deeply, or has too many values.
    """
    found: list[Group] = []
    todo: list[tuple[str, object, int]] = [("", value, 0)]
    count = 0
    while todo:
        prefix, holder, depth = todo.pop(0)
        pairs = holder.items() if isinstance(holder, dict) else enumerate(_list(holder))
        items: dict[Any, Any] = {}
        for key, item in pairs:
            count += 1
            if isinstance(item, (dict, list, tuple)):
                todo.append((f"{prefix}{key}.", item, depth + 1))
            else:
                items[key] = item
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise FormatError(
                f"{path}: found containers with more than {MAX_VALUES} values or {MAX_DEPTH} "
                "levels; save the state dict alone, and convert that"
            )
        if any(isinstance(item, (StoredTensor, Placeholder)) for item in items.values()):
            found.append(Group(prefix, items))
    return found


def choose(
    groups: list[Group], path: Path, *, key: str | None = None, any_network: bool = False
) -> StateDicts:
    """Choose the one SAM among the dicts of a file.

    Args:
        groups: From ``groups_of``.
        path: The file, for messages.
        key: Where the SAM is, if the file holds several: keys and prefixes joined by dots.
        any_network: Do not refuse networks other than SAM, since the file is a decoder.

    Returns:
        Its tensors without any wrapping. If there is no whole SAM, those of the only dict.

    Raises:
        FormatError: The file holds several state dicts, and the key does not choose one; or a
            network other than SAM; or two names become one without their wrapping.
        InputError: The file has nothing under the key.
    """
    groups = [Group(group.path, _unwrapped(group, path)) for group in groups]
    sams = [each for each in _sams(groups) if _under(f"{each[0].path}{each[1]}", key)]
    if not sams:  # perhaps each of its networks has a dict of its own
        joined = _joined(groups)
        sams = [each for each in _sams([joined]) if _under(each[1], key)]
    if not any_network:
        for group, prefix in sams:
            refuse_other_networks(_names(group, prefix), where=str(path))
    alike = {
        f"{group.path}{prefix}": {
            name: group.items[f"{prefix}{name}"]
            for name in _names(group, prefix)
            if name.split(".", 1)[0] in PARTS
        }
        for group, prefix in sams
    }
    first = next(iter(alike.values()), {})
    if len(alike) > 1 and any(each != first for each in alike.values()):
        raise FormatError(
            f"{path}: holds {len(alike)} SAMs, under {_choices(alike)}; choose one with --key, for "
            f"example --key {_choices([*alike][:1])}"
        )
    if sams:
        group, prefix = sams[0]
        warn = key is None and group in groups
        _tell_the_rest(groups, group, prefix, first, path, warn=warn)
        return StateDicts(first, _decoder_beside(groups, group))
    if not any_network:
        inside = [n for g in groups for n in g.names() if _under(g.path, key)]
        refuse_other_networks(inside, where=str(path))
    group = _the_only(groups, path, key)
    return StateDicts(without_wrappers(group.items), _decoder_beside(groups, group))


def _list(value: object) -> list[Any] | tuple[Any, ...]:
    return value if isinstance(value, (list, tuple)) else []


def _joined(groups: list[Group]) -> Group:
    """Put the values of all dicts into one, by the keys that lead to them."""
    return Group("", {f"{g.path}{key}": value for g in groups for key, value in g.items.items()})


def _unwrapped(group: Group, path: Path) -> dict[Any, Any]:
    """Take out what wrappers insert inside of names."""
    items: dict[Any, Any] = {}
    for key, item in group.items.items():
        name = plain_name(key) if isinstance(key, str) else key
        if name in items:
            raise FormatError(
                f"{path}: two of its tensors are {shown(name)} without the wrapping of their names"
            )
        items[name] = item
    return items


def plain_name(name: str) -> str:
    """Take out of a name what wrappers insert inside of it.

    >>> plain_name("image_encoder._orig_mod.pos_embed")
    'image_encoder.pos_embed'
    """
    parts: list[str] = []
    for part in name.split("."):
        after_network = part == "module" and bool(parts) and parts[-1] in NETWORKS
        if part not in INNER_WRAPPERS and not after_network:
            parts.append(part)
    return ".".join(parts)


def _sams(groups: list[Group]) -> list[tuple[Group, str]]:
    """Find each place where a whole SAM starts: a dict, and the prefix of its names there."""
    found: dict[tuple[str, str], Group] = {}
    for group in groups:
        if DECODER_STATE in group.path.split("."):
            continue
        for name in group.items:
            for anchor in ANCHORS:
                if isinstance(name, str) and (name == anchor or name.endswith(f".{anchor}")):
                    found[group.path, name.removesuffix(anchor)] = group
    return [(group, prefix) for (_, prefix), group in found.items()]


def _names(group: Group, prefix: str) -> list[str]:
    return [
        name.removeprefix(prefix)
        for name in group.items
        if isinstance(name, str) and name.startswith(prefix)
    ]


def _under(place: str, key: str | None) -> bool:
    return key is None or f"{place.strip('.')}.".startswith(f"{key.strip('.')}.")


def _choices(places: Any) -> str:
    names = [place.strip(".") for place in places]
    more = f" and {len(names) - MAX_CHOICES} more" if len(names) > MAX_CHOICES else ""
    return ", ".join(shown(name, limit=60) for name in names[:MAX_CHOICES]) + more


def _the_only(groups: list[Group], path: Path, key: str | None) -> Group:
    """Return the dict with tensors where there is no whole SAM: an adapter, or a decoder."""
    usable = [group for group in groups if DECODER_STATE not in group.path.split(".")]
    chosen = [group for group in usable if _under(group.path, key)]
    if not chosen:
        raise InputError(
            f"{path}: has no tensors under the key {shown(key)}; it has some under "
            f"{_choices(group.path or '(no key)' for group in groups)}"
        )
    own = [group for group in chosen if group.path == f"{MODEL_STATE}."] or [
        group for group in chosen if not group.path
    ]
    if len(chosen) > 1 and not own:
        raise FormatError(
            f"{path}: expected a flat dict of tensors, found several, under "
            f"{_choices(group.path for group in chosen)}, and none of them is a whole SAM; choose "
            "one with --key"
        )
    return (own or chosen)[0]


def without_wrappers(items: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Strip wrappers that all names begin with, one after the other."""
    while items and all(isinstance(name, str) for name in items):
        first = next(iter(items)).split(".", 1)[0]
        if first not in OUTER_WRAPPERS or not all(n.startswith(f"{first}.") for n in items):
            break
        items = {name.removeprefix(f"{first}."): item for name, item in items.items()}
    return items


def _decoder_beside(groups: list[Group], group: Group) -> Mapping[str, Any]:
    """Return micro-sam's AIS decoder that belongs to a chosen ``model_state``."""
    before, found, _ = group.path.partition(f"{MODEL_STATE}.")
    place = f"{before}{DECODER_STATE}."
    beside = [each for each in groups if found and each.path == place]
    return without_wrappers(beside[0].items) if beside else {}


def _tell_the_rest(
    groups: list[Group],
    group: Group,
    prefix: str,
    model: Mapping[str, Any],
    path: Path,
    *,
    warn: bool,
) -> None:
    """Say what else the file holds; tensors beside the SAM in its own dict may matter."""
    where = f"{group.path}{prefix}".strip(".")
    names, chosen = {f"{prefix}{name}" for name in model}, {*model.values()}
    beside = [
        name
        for name, value in group.items.items()
        # A tensor of the SAM by a second name (tied weights) is not left out.
        if name not in names and not (isinstance(value, StoredTensor) and value in chosen)
    ]
    if beside:
        logger.log(
            logging.WARNING if warn else logging.INFO,
            "%s: read the SAM%s; left out %d more values beside it, such as %s; a model that "
            "computes with them gives other masks", path, f" under {shown(where)}" if where else "",
            len(beside), shown(beside[0], limit=60),
        )  # fmt: skip
    others = [each.path.strip(".") for each in groups if each is not group]
    if others:
        logger.info("%s: read %s, not %s", path, where or "its tensors", _choices(others))


def check_count(items: Mapping[Any, Any], path: Path, *, where: str = "") -> None:
    """Refuse a state dict of too many tensors.

    Raises:
        FormatError: It has more than ``MAX_TENSORS``.
    """
    if len(items) > MAX_TENSORS:
        raise FormatError(f"{path}: {where}{len(items)} tensors, allowed are {MAX_TENSORS}")
