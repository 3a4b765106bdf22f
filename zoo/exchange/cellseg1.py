"""Reading of the LoRA files of CellSeg1 and SAMed, over a base of their image size.

In: a flat dictionary whose names count layers (``w_a_000``, ``sa_b_003``, ``fati_qa``). Out: an
adapter by our names, with LoRA on q and v of the image encoder, and with a mask decoder into which
its own LoRA is folded.

Source: Zhou et al., CellSeg1 (2024); its ``peft/sam_lora_image_encoder_mask_decoder.py``,
``save_lora_parameters``, read in the copy hotaru1227/cellseg1, commit 3f23446 (the original is
Nuisal/cellseg1), which has it from SAMed (hitachinsk/SAMed, commit 7972803). SAMed's own files have
no LoRA in the mask decoder but all of its weights (``sam_lora_image_encoder.py``, commit f3c4b44).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.formats.prefixes import DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.zoo.checkpoints.base import Base, as_float32

from .foreign import Foreign, the_one

IMAGE_SIZE = 512
"""Side of the encoder's input in CellSeg1 and SAMed, in pixels. The file does not hold it."""

MEAN, STD = (0.0, 0.0, 0.0), (255.0, 255.0, 255.0)
"""SAMed's preprocessing: images in 0..1, no statistics. Source: SAMed, ``train.py``: mean 0 and std
1, ``datasets/dataset_synapse.py``."""

TRANSFORMER = "mask_decoder.transformer."
SAMED_NOTE = (
    "SAMed's outputs are classes, with the background in output 0, and not masks of the prompted "
    "object; images in 0..1 without statistics, as in SAMed"
)

ATTENTION = {
    "sa": "self_attn",
    "cti": "cross_attn_token_to_image",
    "cit": "cross_attn_image_to_token",
}
"""SAM's names of the attentions in a mask decoder layer, by CellSeg1's names. In each, q and v
alternate."""

FINAL = {
    f"fati_{m}{f}": (f"{TRANSFORMER}final_attn_token_to_image.{m}_proj", f)
    for m in "qv" for f in "ab"
}  # fmt: skip

_COUNTED = re.compile(r"(w|sa|cti|cit)_([ab])_(\d{3})")


def is_cellseg1(tensors: Mapping[str, Any]) -> bool:
    """Return whether the tensors have CellSeg1's names."""
    return any(_COUNTED.fullmatch(name) or name in FINAL for name in tensors)


def read(
    tensors: Mapping[str, Any], base: Base, *, where: str, image_size: int | None = None
) -> Foreign:
    """Read a dictionary of CellSeg1 or SAMed.

    Args:
        tensors: Tensors by CellSeg1's names.
        base: The base, resized to CellSeg1's image size (``resize_base``).
        where: The file, for messages.
        image_size: Side of the encoder's input during training, if it was not 512.

    Returns:
        The adapter, without an AIS decoder.

    Raises:
        InputError: The base is not a ViT, or has another image size.
        FormatError: A factor or a tensor is missing or unknown, or does not fit.
    """
    config = vit_of(base.config.architecture.image_encoder)
    wanted = image_size or IMAGE_SIZE
    if config is None:
        raise InputError(
            f"{where}: CellSeg1 and SAMed finetune ViTs, but the base {base.folder} has another "
            "encoder"
        )
    if config.image_size != wanted:
        raise InputError(
            f"{where}: CellSeg1 and SAMed are trained at {wanted} pixels, the base {base.folder} "
            f"has {config.image_size}; run: samzoo convert {base.folder} --image-size {wanted} "
            "-o OUT, and pass that with --base"
        )
    samed = _is_samed(tensors)
    layers, plain = _named(tensors, base, where=where, samed=samed)
    if samed:
        _check_classes(plain, base, where=where)
    delta: Tensors = {}
    for block in range(config.depth):
        for matrix in "qv":
            layer = f"{ENCODER_PREFIX}blocks.{block}.attn.qkv"
            if f"{layer}.{matrix}" in layers:
                pair = layers[f"{layer}.{matrix}"]
                delta[f"{layer}.lora_a.{matrix}"], delta[f"{layer}.lora_b.{matrix}"] = pair
    decoders = {**base.part(TRANSFORMER), **plain}
    for layer, (a, b) in layers.items():
        if layer.startswith(TRANSFORMER):
            weight = decoders[f"{layer}.weight"].astype(np.float64)
            if (len(b), a.shape[1]) != weight.shape or b.shape[1] != len(a):
                raise FormatError(
                    f"{where}: A {a.shape} and B {b.shape} do not fit the weight {weight.shape} "
                    f"of {layer}"
                )
            folded = weight + b.astype(np.float64) @ a.astype(np.float64)
            decoders[f"{layer}.weight"] = folded.astype(np.float32)
    source = {"exchanged_from": "samed" if samed else "cellseg1"}
    if not delta:
        return Foreign(method="freeze_encoder", hyperparameters={}, tensors=decoders, source=source)
    preprocessing = base.config.preprocessing
    if samed:
        preprocessing = dataclasses.replace(preprocessing, pixel_mean=MEAN, pixel_std=STD)
    rank = the_one((len(v) for n, v in delta.items() if ".lora_a." in n), "rank", where=where)
    return Foreign(
        method="lora",
        hyperparameters={"rank": rank, "matrices": ["q", "v"], "scale": 1.0, "blocks": None},
        tensors={**delta, **decoders},
        notes=(
            f"the file does not hold the image size; {wanted} pixels were used",
            *((SAMED_NOTE,) if samed else ()),
        ),
        preprocessing=preprocessing,
        source=source,
    )


def _is_samed(tensors: Mapping[str, Any]) -> bool:
    """Whether the mask decoder is whole, as in SAMed's files, and without a LoRA of its own."""
    adapted = any(n in FINAL or n.startswith(tuple(f"{kind}_" for kind in ATTENTION))
                  for n in tensors)  # fmt: skip
    return not adapted and any(name.startswith(TRANSFORMER) for name in tensors)


def _check_classes(plain: Mapping[str, Any], base: Base, *, where: str) -> None:
    """Refuse a mask decoder whose outputs are another number of classes."""
    name = "mask_decoder.mask_tokens.weight"
    expected = len(base.tensors[name])
    found = len(plain[name]) if name in plain else expected
    if found != expected:
        raise InputError(
            f"{where}: is a LoRA of SAMed with {found - 1} classes, one in each output of the mask "
            f"decoder; SAM has {expected - 1} masks of one object there. Its encoder could be used "
            "with SAM's own mask decoder: leave out the tensors mask_decoder.*"
        )


def _named(
    tensors: Mapping[str, Any], base: Base, *, where: str, samed: bool
) -> tuple[dict[str, tuple[Any, Any]], Tensors]:
    """Find the layer of each pair of factors, and the tensors that are stored as they are."""
    config = base.config.architecture
    encoder = vit_of(config.image_encoder)
    depth = encoder.depth if encoder is not None else 0
    factors: dict[str, dict[str, Any]] = {}
    plain: Tensors = {}
    for name, value in tensors.items():
        match = _COUNTED.fullmatch(name)
        if match is None and name not in FINAL:
            inside = name.startswith(DECODER_PREFIXES)
            if not inside or (name.startswith(TRANSFORMER) and not samed):
                raise FormatError(f"{where}: tensor {shown(name)} is not one of CellSeg1's")
            plain[name] = as_float32(value)
            continue
        if match is None:
            layer, factor = FINAL[name]
        else:
            layer, factor = _counted_layer(match[1], int(match[3])), match[2]
        if value.ndim != 2:
            raise FormatError(
                f"{where}: tensor {shown(name)}: expected two axes, found {value.shape}"
            )
        factors.setdefault(layer, {})[factor] = as_float32(value)
    # The names only count layers, so a list that is too short or too long would shift them.
    _check_count(tensors, "w", 2 * depth, where=where)
    for kind in ATTENTION:
        _check_count(tensors, kind, 2 * config.mask_decoder.transformer_depth, where=where)
    for layer, pair in sorted(factors.items()):
        if len(pair) != 2:
            lacking = "B" if "a" in pair else "A"
            raise FormatError(f"{where}: lacks the factor {lacking} of {layer}")
    return {layer: (pair["a"], pair["b"]) for layer, pair in factors.items()}, plain


def _counted_layer(kind: str, count: int) -> str:
    layer, matrix = count // 2, "qv"[count % 2]
    if kind == "w":
        return f"{ENCODER_PREFIX}blocks.{layer}.attn.qkv.{matrix}"
    return f"{TRANSFORMER}layers.{layer}.{ATTENTION[kind]}.{matrix}_proj"


def _check_count(tensors: Mapping[str, Any], kind: str, expected: int, *, where: str) -> None:
    """Refuse lists that do not cover all layers; a list may be missing altogether."""
    for factor in "ab":
        names = {name for name in tensors if name.startswith(f"{kind}_{factor}_")}
        wanted = {f"{kind}_{factor}_{i:03d}" for i in range(expected)}
        if names and names != wanted:
            raise FormatError(
                f"{where}: found {len(names)} tensors {kind}_{factor}_*, expected {expected} for "
                "the base: a q and a v for each layer. The names only count layers, so an "
                "incomplete list cannot be assigned to them"
            )
