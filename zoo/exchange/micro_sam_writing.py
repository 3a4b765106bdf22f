"""Translation of an adapter into micro-sam's names, with the arguments that load it there.

In: an adapter of ours and its base. Out: the ``model_state`` of a checkpoint, and the
``peft_kwargs`` of ``micro_sam.util.get_sam_model``; or an error that says why there are none.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.training.methods import get_method
from samzoo.training.methods.adaptformer import ALPHA, AdaptFormerSettings
from samzoo.training.methods.blocks import chosen_blocks
from samzoo.training.methods.fact import FactSettings
from samzoo.training.methods.lora import LoraSettings
from samzoo.training.methods.table import usual_form
from samzoo.zoo.checkpoints.base import Base

from .micro_sam_names import DELTA, WRAPPED, split_name

SURGERY = {
    "lora": "LoRASurgery",
    "fact": "FacTSurgery",
    "adaptformer": "AdaptFormer",
    "ssf": "SSFSurgery",
}
"""Classes of ``micro_sam.models.peft_sam`` by our methods; other methods load as a plain SAM."""


def state_dict(method: str, settings: Any, tensors: Mapping[str, Any], base: Base) -> Tensors:
    """Give the tensors of an adapter and its base micro-sam's names.

    Args:
        method: The adapter's method.
        settings: The settings of the method.
        tensors: The adapter's tensors by our names, without an AIS decoder.
        base: The adapter's base.

    Returns:
        The ``model_state`` that ``micro_sam.util.get_sam_model`` loads with ``peft_kwargs``.

    Raises:
        InputError: micro-sam cannot compute the same.
    """
    kind, delta = expressible(method, settings, tensors, base)
    encoder = base.part(ENCODER_PREFIX)
    if kind is None:
        return {
            **encoder,
            **delta,
            **{n: v for n, v in tensors.items() if n.startswith(DECODER_PREFIXES)},
        }
    owners = {split_name(name)[0] for name in delta}
    theirs = {ours: name for name, ours in {**DELTA[kind], **WRAPPED[kind]}.items()}
    mlp = any(".mlp." in name for name in delta)
    state: Tensors = {}
    for name, value in {**encoder, **delta}.items():
        block, suffix = split_name(name)
        wrapped = block in owners and suffix in theirs
        if isinstance(settings, LoraSettings) and suffix.startswith("mlp.") and not mlp:
            wrapped = False
        state[f"{block}{theirs[suffix]}" if wrapped else name] = value
    return {**state, **{n: v for n, v in tensors.items() if n.startswith(DECODER_PREFIXES)}}


def decoder_state(tensors: Mapping[str, Any]) -> Tensors:
    """Give an AIS decoder's tensors the names in micro-sam's ``decoder_state``."""
    return {
        name.removeprefix(AIS_DECODER_PREFIX): v
        for name, v in tensors.items()
        if name.startswith(AIS_DECODER_PREFIX)
    }


def expressible(
    method: str, settings: Any, tensors: Mapping[str, Any], base: Base
) -> tuple[str | None, Tensors]:
    """Bring the encoder's delta into micro-sam's form.

    Args:
        method: The adapter's method.
        settings: The settings of the method.
        tensors: The adapter's tensors.
        base: The adapter's base.

    Returns:
        The row of the name table (None for plain SAM names), and the delta by our names.

    Raises:
        InputError: micro-sam cannot compute the same; the message says what to do instead.
    """
    delta: Tensors = {n: v for n, v in tensors.items() if n.startswith(ENCODER_PREFIX)}
    row, kind = get_method(method), usual_form(method)
    if row.selective:
        return None, delta
    if row.quantized is not None:
        raise _refusal("QLoRA over 4-bit weights", "its loader has no 4-bit weights")
    if kind not in SURGERY:
        raise _refusal(f"the method {method!r}", "it does not know it")
    if vit_of(base.config.architecture.image_encoder) is None:
        noun = family_of(base.config.architecture.image_encoder).noun
        raise _refusal(f"adapters of a {noun}", "its methods are for ViTs")
    if isinstance(settings, LoraSettings):
        if "proj" in settings.matrices:
            raise _refusal("LoRA on attn.proj", "it adapts q, k, v and mlp only")
        scale = np.float32(settings.scale)
        delta = {n: v * scale if ".lora_b." in n else v for n, v in delta.items()}
    elif isinstance(settings, FactSettings) and settings.shared:
        delta = _unshared(delta)
    elif isinstance(settings, AdaptFormerSettings):
        if settings.init == "identity":
            raise _refusal("AdaptFormer without the second residual", "its own always adds it")
        if settings.alpha != "learned":
            delta = {n: v for n, v in delta.items() if not n.endswith(f".{ALPHA}")}
    return kind, delta


def peft_kwargs(method: str, settings: Any, base: Base) -> dict[str, Any] | None:
    """Return the ``peft_kwargs`` for ``get_sam_model``; None for a plain SAM.

    ``peft_module`` is the name of the class in ``micro_sam.models.peft_sam``.
    """
    if get_method(method).selective:
        return None
    config = base.config.architecture.image_encoder
    arguments: dict[str, Any] = {"peft_module": SURGERY[usual_form(method)]}
    if isinstance(settings, LoraSettings):
        arguments["rank"] = settings.rank
        arguments["update_matrices"] = list(settings.matrices)
    elif isinstance(settings, FactSettings):
        arguments["rank"] = settings.rank
        arguments["dropout"] = settings.dropout or None
    elif isinstance(settings, AdaptFormerSettings):
        learned = settings.alpha == "learned"
        arguments["alpha"] = "learnable_scalar" if learned else settings.alpha
        arguments["projection_size"] = settings.projection
        arguments["dropout"] = settings.dropout or None
    blocks = chosen_blocks(config, settings.blocks)
    if blocks != chosen_blocks(config, None):
        arguments["attention_layers_to_update"] = blocks
    return arguments


def _unshared(delta: Tensors) -> Tensors:
    """Give every block its copy of the factors that FacT shares."""
    shared = {kind: next(v for n, v in delta.items() if n.endswith(kind))
              for kind in (".fact_u", ".fact_v")}  # fmt: skip
    layers = {name.partition(".fact_")[0] for name in delta}
    return {**delta, **{f"{layer}{kind}": v for layer in layers for kind, v in shared.items()}}


def _refusal(what: str, why: str) -> InputError:
    return InputError(
        f"micro-sam cannot load {what}: {why}; merge the adapter (samzoo merge) and export the "
        "model instead (samzoo export MODEL -o PACKAGE --target micro-sam)"
    )


def save_checkpoint(
    path: Path, state: Mapping[str, Any], decoder: Mapping[str, Any] | None
) -> None:
    """Write the same file as micro-sam's ``export_custom_sam_model``.

    Args:
        path: A file that does not exist yet.
        state: Tensors by micro-sam's names.
        decoder: The ``decoder_state``. None writes ``state`` alone; every tool that takes a plain
            SAM loads it if the method adds no names of its own.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", extra="train")

    def to_torch(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}

    content: dict[str, Any] = to_torch(state)
    if decoder is not None:
        content = {"model_state": content, "decoder_state": to_torch(decoder)}
    torch.save(content, path)
