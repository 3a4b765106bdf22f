"""A run that begins from the weights of another adapter, with a new optimiser and schedule.

In: an adapter's folder and the new run's settings. Out: what it started from, for its files, and
the network with the adapter's weights. Nothing here imports torch until there are weights to load.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, NotFoundError, shown
from samzoo.runtime.formats.adapter import AdapterConfig, is_adapter, open_adapter
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.prefixes import MASK_DECODER_PREFIX
from samzoo.runtime.labels.contents import refuse_shared
from samzoo.training.config import TrainConfig
from samzoo.training.methods import get_method, mask_decoder_lora

if TYPE_CHECKING:
    from samzoo.training.networks.sam import Sam

START, SEEN = "start", "seen_before"
"""Keys of a checkpoint's settings: what the run started from, and what that had learned from."""


@dataclass(frozen=True)
class Start:
    """What a run started from.

    Attributes:
        name: Name of the adapter's folder.
        digest: Weights digest of the adapter.
    """

    name: str
    digest: str


@dataclass(frozen=True)
class Beginning:
    """An adapter that a run begins from, or began from.

    Attributes:
        start: What is recorded of it.
        seen: Identities of the images that it had learned from.
        folder: The adapter, whose weights are to be loaded; None in a run that goes on.
    """

    start: Start
    seen: tuple[str, ...] = ()
    folder: Path | None = None

    def settings(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of it."""
        return {START: asdict(self.start), SEEN: list(self.seen)}


def beginning(
    folder: Path, *, base: Path, base_config: ModelConfig, method: str, config: TrainConfig
) -> Beginning:
    """Check that a run can begin from an adapter.

    Args:
        folder: The adapter, or a run with one.
        base: The run's base folder.
        base_config: The base's config.
        method: The run's method.
        config: The run's settings.

    Raises:
        NotFoundError: There is no adapter.
        FormatError: The adapter is damaged.
        InputError: It has another base, method, hyperparameters or AIS decoder; the message names
            all of them.
    """
    if not is_adapter(folder):
        raise NotFoundError(
            f"{folder}: holds no adapter to start from; name the folder of an adapter, or of a run "
            "that has been validated once"
        )
    found, _ = open_adapter(folder)
    differences = _differences(found, folder, base_config, method, config)
    if differences:
        raise InputError(
            f"{folder}: a run over {base} cannot start from it: {'; '.join(differences)}. Train "
            "with the same base, method, hyperparameters and AIS decoder, or without a start"
        )
    training = found.source.get("training")
    contents = training.get("contents") if isinstance(training, Mapping) else None
    seen = contents.get("training") if isinstance(contents, Mapping) else None
    known = [each for each in seen if isinstance(each, str)] if isinstance(seen, list) else []
    return Beginning(Start(folder.resolve().name, found.adapter_digest), tuple(known), folder)


def resumed(path: Path, settings: Mapping[str, Any], given: Beginning | None) -> Beginning | None:
    """Return what a run that goes on once began from.

    Args:
        path: The checkpoint, named in messages.
        settings: The checkpoint's.
        given: What the user names now, if anything.

    Raises:
        InputError: The user names something else.
        FormatError: The checkpoint is damaged.
    """
    held = settings.get(START)
    if held is None and given is not None:
        raise InputError(
            f"{path}: this run did not start from an adapter, now it is given {given.start.name}; "
            "omit --start, or choose another output folder"
        )
    if held is None:
        return None
    try:
        start, seen = Start(**held), tuple(settings.get(SEEN, ()))
    except TypeError as error:
        raise FormatError(f"{path}: {START}: found {shown(held)}, not what samzoo wrote") from error
    if given is not None and given.start.digest != start.digest:
        raise InputError(
            f"{path}: this run started from {start.name} ({start.digest}), now it is given "
            f"{given.start.name} ({given.start.digest}); omit --start, or choose another output "
            "folder"
        )
    return Beginning(start, seen)


def refuse_seen(begin: Beginning, validation: Mapping[str, str]) -> None:
    """Refuse validation images that the adapter has learned from.

    Args:
        begin: What the run begins from.
        validation: The names of validation images, by identity.

    Raises:
        InputError: There is one.
    """
    refuse_shared(
        {each: f"one that {begin.start.name} has seen" for each in begin.seen}, validation
    )


def begin_from(sam: Sam, folder: Path) -> None:
    """Give a network the weights of an adapter.

    Args:
        sam: From ``finetunable``; changed in place.
        folder: The adapter, checked by ``beginning``.

    Raises:
        FormatError: A tensor is missing, unknown or of another shape.
        InputError: The mask decoder's factors cannot be found again.
    """
    import torch

    _, tensors = open_adapter(folder)
    held: dict[str, Any] = {**dict(sam.named_parameters()), **dict(sam.named_buffers())}
    factors = {n for n in held if n.startswith(MASK_DECODER_PREFIX) and ".lora_" in n}
    needed = {n for n, value in sam.named_parameters() if value.requires_grad} - factors
    needed |= {f"{name.partition('.lora_')[0]}.weight" for name in factors}
    for name in sorted({*needed - set(tensors), *set(tensors) - (set(held) - factors)}):
        problem = "missing" if name in needed else "unknown"
        raise FormatError(f"{folder}: tensor {shown(name)} is {problem}; the adapter is damaged")
    with torch.no_grad():
        for name in tensors:
            value, shape = np.array(tensors[name]), tuple(held[name].shape)
            if value.shape != shape:
                raise FormatError(
                    f"{folder}: tensor {shown(name)}: expected shape {shape}, found {value.shape}"
                )
            layer = name.removesuffix(".weight")
            last = layer.rpartition(".")[2]
            a, b = (f"{layer}.lora_{factor}.{last}" for factor in "ab")
            if a not in factors:
                held[name].copy_(torch.from_numpy(value))
                continue
            linear: Any = sam.get_submodule(layer)
            found = mask_decoder_lora.unfold(
                value,
                held[name].detach().numpy(),
                held[a].detach().numpy(),
                scale=linear.lora_scale,
                where=f"{folder}: {name}",
            )
            for factor, array in zip((a, b), found, strict=True):
                held[factor].copy_(torch.from_numpy(array))


def _differences(
    found: AdapterConfig, folder: Path, base: ModelConfig, method: str, config: TrainConfig
) -> list[str]:
    """Say in which of what must be equal an adapter and a run differ."""
    said = []
    if found.base_digest != base.weights_digest:
        said.append(f"base: it has {found.base_digest}, this run {base.weights_digest}")
    if found.method != method:
        said.append(f"method: it has {shown(found.method)}, this run {shown(method)}")
    else:
        row = get_method(method)
        theirs, ours = (
            to_json(row.resolved(row.settings(each, where=where), base.architecture))
            for each, where in (
                (found.hyperparameters, str(folder)),
                (config.hyperparameters, "config"),
            )
        )
        said += [
            f"hyperparameters.{key}: it has {shown(theirs[key])}, this run {shown(ours[key])}"
            for key in ours
            if theirs[key] != ours[key]
        ]
    own, wanted = base.architecture.ais_decoder, config.ais_decoder
    decoder = own if own is not None and wanted is not None else wanted
    held = found.architecture.ais_decoder
    if held != decoder:
        said.append(f"ais_decoder: it has {shown(held)}, this run {shown(decoder)}")
    return said
