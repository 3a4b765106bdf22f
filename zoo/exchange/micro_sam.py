"""Reading of micro-sam's adapters: the tensors' names tell method, rank, matrices and blocks.

micro-sam wraps layers. A checkpoint therefore holds the frozen weights under longer names, with the
trained weights beside them. In: such tensors and a base. Out: an adapter by our names.
``micro_sam_writing.py`` does the reverse.

Source: micro-sam 1.8.14, ``models/peft_sam.py``; the names of tiny models are in
``tests/goldens/micro_sam_names.json``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from math import prod
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.runtime.formats.tensor_files import check_names
from samzoo.training.methods import METHODS, get_method
from samzoo.training.methods.adaptformer import ALPHA, AdaptFormerSettings
from samzoo.training.methods.blocks import block_names, chosen_blocks
from samzoo.training.methods.fact import FactSettings
from samzoo.training.methods.layers import FUSED
from samzoo.training.methods.lora import LoraSettings
from samzoo.training.methods.selective import SelectiveSettings
from samzoo.training.methods.table import late_form, quantized_form, usual_form
from samzoo.zoo.checkpoints.base import Base

from .foreign import Foreign, check_frozen, parameter_shapes, same, the_one
from .micro_sam_names import DELTA, WRAPPED, our_name, split_name
from .quantized_bases import check_quantized_base, is_quantized

FACT_DROPOUT = 0.1
"""micro-sam's default. Dropout acts in training only, and no file stores it."""


def read(
    tensors: Mapping[str, Any],
    base: Base,
    *,
    where: str,
    method: str | None = None,
    alpha: float | None = None,
    ais_decoder: Any = None,
) -> Foreign:
    """Read a uSAM checkpoint.

    Args:
        tensors: Tensors by micro-sam's names without ``sam.``; an AIS decoder's under
            ``ais_decoder.``.
        base: The base that the adapter was trained on.
        where: The file, for messages.
        method: The method that the adapter must have. By default the names tell the method; for
            plain SAM names, the tensors that differ from the base do.
        alpha: AdaptFormer's alpha, if it was fixed; the file then does not hold it.
        ais_decoder: Config of the AIS decoder in ``tensors``.

    Returns:
        The adapter.

    Raises:
        FormatError: The names belong to no method or to several, the layers do not agree, or a
            fixed alpha was not given.
        WrongBaseError: The frozen tensors in the file are not the base's.
        InputError: ``alpha`` was given for a method or a file that does not need it, or the
            checkpoint has another method than ``method``.
    """
    expected = None if method is None else usual_form(method)
    found = _method_of(tensors, where=where)
    decoders = {n: v for n, v in tensors.items() if not n.startswith(ENCODER_PREFIX)}
    encoder = {n: v for n, v in tensors.items() if n.startswith(ENCODER_PREFIX)}
    if found is None:
        if alpha is not None:
            raise InputError(f"{where}: alpha is for AdaptFormer, but the file holds plain weights")
        foreign = _read_selective(encoder, base, where=where, method=method)
    else:
        if vit_of(base.config.architecture.image_encoder) is None:
            raise InputError(
                f"{where}: holds a {found} adapter of micro-sam, which has those for ViTs only, "
                f"but the base {base.folder} has another image encoder"
            )
        learns_alpha = isinstance(get_method(found).defaults, AdaptFormerSettings)
        if alpha is not None and not learns_alpha:
            raise InputError(f"{where}: alpha is for AdaptFormer, but the file holds {found}")
        foreign = _read_wrapped(found, encoder, base, where=where, alpha=alpha)
    if expected is not None and usual_form(foreign.method) != expected:
        raise InputError(
            f"{where}: holds an adapter of the method {foreign.method!r}, expected {method!r}"
        )
    preprocessing, notes = base.config.preprocessing, foreign.notes
    if (found is not None or ais_decoder is not None) and preprocessing.intensity != "min_max":
        preprocessing = dataclasses.replace(preprocessing, intensity="min_max")
        notes = (*notes, "preprocessing.intensity is min_max: micro-sam stretches every image")
    return Foreign(
        method=foreign.method,
        hyperparameters=foreign.hyperparameters,
        tensors={**foreign.tensors, **decoders},
        ais_decoder=ais_decoder,
        notes=notes,
        preprocessing=preprocessing,
        source={"exchanged_from": "micro-sam"},
    )


def _method_of(tensors: Mapping[str, Any], *, where: str) -> str | None:
    """Tell the method by the names that it adds; None for plain SAM names."""
    found: dict[str, str] = {}
    for name in sorted(tensors):
        _, suffix = split_name(name)
        for method, names in DELTA.items():
            if suffix in names:
                found.setdefault(method, name)
    if len(found) > 1:
        first = ", ".join(shown(name) for name in found.values())
        raise FormatError(f"{where}: holds tensors of {' and '.join(found)} ({first}); use one")
    if not found:
        if is_quantized(tensors):
            raise FormatError(
                f"{where}: holds 4-bit weights and no LoRA factors; expected those of QLoRA"
            )
        return None
    method = next(iter(found))
    return quantized_form(method) if is_quantized(tensors) else method


def _read_wrapped(
    found: str, encoder: Mapping[str, Any], base: Base, *, where: str, alpha: float | None
) -> Foreign:
    row = get_method(found)
    kind = found if row.quantized is None else row.quantized.of
    frozen: Tensors = {}
    delta: Tensors = {}
    for name, value in encoder.items():
        _, suffix = split_name(name)
        if suffix in DELTA[kind]:
            delta[our_name(kind, name)] = value
        elif suffix in WRAPPED[kind] or not any(suffix in names for names in WRAPPED.values()):
            frozen[our_name(kind, name)] = value
        else:
            raise FormatError(f"{where}: tensor {shown(name)} does not belong to {found}")
    hyperparameters: dict[str, Any] = {}
    if row.quantized is not None:
        hyperparameters["quantization"] = check_quantized_base(frozen, base, where=where)
    else:
        check_frozen(frozen, base, where=where)
        missing = sorted(set(base.part(ENCODER_PREFIX)) - set(frozen))
        if missing:
            raise FormatError(f"{where}: lacks the frozen tensor {shown(missing[0])}")
    blocks = _blocks_of(delta, base)
    hyperparameters["blocks"] = _all_or(blocks, base)
    notes: tuple[str, ...] = ()
    if isinstance(row.defaults, LoraSettings):
        ranks = (v.shape[0] for n, v in delta.items() if ".lora_a." in n)
        hyperparameters |= {
            "rank": the_one(ranks, "rank", where=where),
            "matrices": _matrices_of(delta),
            "scale": 1.0,
        }
    elif isinstance(row.defaults, FactSettings):
        ranks = (v.shape[0] for n, v in delta.items() if n.endswith(".fact_u"))
        hyperparameters |= {
            "rank": the_one(ranks, "rank", where=where),
            "dropout": FACT_DROPOUT,
            "shared": False,
        }
        notes = (
            f"the file does not hold FacT's dropout; micro-sam's default {FACT_DROPOUT} is used",
        )
    elif isinstance(row.defaults, AdaptFormerSettings):
        notes = _read_adaptformer(delta, hyperparameters, blocks, alpha=alpha, where=where)
    return Foreign(
        method=_late(found, blocks, base),
        hyperparameters=hyperparameters,
        tensors=delta,
        notes=notes,
    )


def _read_adaptformer(
    delta: Tensors,
    hyperparameters: dict[str, Any],
    blocks: list[int],
    *,
    alpha: float | None,
    where: str,
) -> tuple[str, ...]:
    sizes = (v.shape[0] for n, v in delta.items() if n.endswith(".adaptformer_down.weight"))
    hyperparameters["projection"] = the_one(sizes, "projection size", where=where)
    notes = (
        "the file does not hold AdaptFormer's dropout, which acts in training only; it is off",
    )
    learned = any(name.endswith(f".{ALPHA}") for name in delta)
    if learned and alpha is not None:
        raise InputError(f"{where}: holds its own learned alpha; omit alpha")
    if learned:
        hyperparameters["alpha"] = "learned"
        return notes
    if alpha is None:
        raise InputError(
            f"{where}: AdaptFormer's alpha was fixed in this training, and micro-sam does not "
            "store it; pass the value it was trained with (--alpha, micro-sam's argument alpha)"
        )
    hyperparameters["alpha"] = float(alpha)
    for name in [n for n in delta if n.endswith(".adaptformer_up.weight")]:
        owner = name.removesuffix("adaptformer_up.weight")
        delta[f"{owner}{ALPHA}"] = np.full(1, alpha, np.float32)
    return (*notes, f"the file does not hold AdaptFormer's fixed alpha; {alpha} was given")


def _read_selective(
    encoder: Mapping[str, Any], base: Base, *, where: str, method: str | None
) -> Foreign:
    """Find the method that changes least among those that change every differing tensor."""
    ours = base.part(ENCODER_PREFIX)
    ending = f" of the image encoder) next to the base {base.folder}"
    check_names(encoder, ours, where=where, ending=ending)
    selective = [name for name, row in METHODS.items() if row.selective]
    if method is not None and method not in selective:
        raise InputError(
            f"{where}: holds the names of a plain SAM, expected the method {shown(method)}; the "
            f"methods with such names are {', '.join(selective)}"
        )
    changed = {name for name, value in encoder.items() if not same(value, ours[name])}
    blocks, shapes = _blocks_of(changed, base), parameter_shapes(base)
    candidates = []
    for name in selective if method is None else (method,):
        settings = _selective_settings(name, blocks, base)
        trained = get_method(name).trainable(shapes, base.config.architecture, settings)
        size = sum(prod(shape) for shape in trained.values())
        candidates.append((size, name, settings, {ENCODER_PREFIX + each for each in trained}))
    for _, name, settings, names in sorted(candidates, key=lambda candidate: candidate[0]):
        if changed <= names:
            return Foreign(
                method=name,
                hyperparameters=to_json(settings),
                tensors={each: encoder[each] for each in sorted(names)},
                notes=(f"the {len(changed)} tensors that differ from the base tell the method",)
                if method is None else (),
            )  # fmt: skip
    check_frozen({n: encoder[n] for n in set(encoder) - names}, base, where=where)
    raise AssertionError(changed)  # what differs lies outside the method's tensors


def _selective_settings(name: str, blocks: list[int], base: Base) -> Any:
    """The settings with which a method trains these blocks; all of the encoder, if it can."""
    defaults = get_method(name).defaults
    if not isinstance(defaults, SelectiveSettings) or late_form(name) != name:
        return defaults  # the late form is the one of blocks
    if defaults.blocks is None:
        chosen = _all_or(blocks, base) if blocks else None
    else:  # None would be all of them
        count = len(block_names(base.config.architecture.image_encoder))
        chosen = blocks or [count - 1]
    return SelectiveSettings(blocks=None if chosen is None else tuple(chosen))


def _blocks_of(delta: Iterable[str], base: Base) -> list[int]:
    names = [f"{ENCODER_PREFIX}{b}." for b in block_names(base.config.architecture.image_encoder)]
    return [i for i, prefix in enumerate(names) if any(n.startswith(prefix) for n in delta)]


def _all_or(blocks: list[int], base: Base) -> list[int] | None:
    """Return the blocks; None if they are all blocks, as in the configs."""
    every = chosen_blocks(base.config.architecture.image_encoder, None)
    return None if blocks == every else blocks


def _late(method: str, blocks: list[int], base: Base) -> str:
    """Return the late form's name for a method that adapts the last blocks and not the first."""
    count = len(block_names(base.config.architecture.image_encoder))
    tail = 0 < len(blocks) < count and blocks == [*range(blocks[0], count)]
    return late_form(method) if tail else method


def _matrices_of(delta: Iterable[str]) -> list[str]:
    """List the matrices that have factors in any block; a later check demands them in all."""
    found = {name.rpartition(".")[2] for name in delta}
    matrices = [matrix for matrix in FUSED if matrix in found]
    return matrices + (["mlp"] if found & {"lin1", "lin2"} else [])
