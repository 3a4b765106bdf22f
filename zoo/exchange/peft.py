"""Reading of LoRA folders of Hugging Face's ``peft``, over a ``Sam`` or a ``SamModel``.

In: ``adapter_config.json`` and the tensors of ``adapter_model.safetensors``. Out: an adapter by our
names. Needs neither torch nor peft. ``peft_writing.py`` does the reverse.

Source: peft 0.21.2, ``tuners/lora`` and ``utils/save_and_load.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE, check_floating
from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.files import read_json
from samzoo.runtime.formats.prefixes import DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.zoo.checkpoints.base import Base, as_float32
from samzoo.zoo.checkpoints.huggingface_names import POSITIONS, SHARED_POSITIONS

from .foreign import Foreign, same
from .fused_lora import Factors, padded, split
from .lora_layers import matrices_found, ungrouped
from .peft_config import MERGE, Scaling, read_scaling
from .peft_names import PREFIX, Naming, naming_of, unwrapped

NAME_OF_A, NAME_OF_B = ".lora_A.weight", ".lora_B.weight"

REFUSED_PARTS = {
    ".lora_magnitude_vector": "one of DoRA, which is not a plain LoRA",
    ".lora_embedding_": "a LoRA on an embedding. SAM uses the weights of its embeddings directly, "
    "so that such a LoRA has no effect in peft until it is merged",
}
"""Parts of the names of tensors that no adapter of ours can hold, and what they are."""


def is_peft_folder(folder: Path) -> bool:
    """Return whether a folder holds an adapter of ``peft`` and not one of ours."""
    path = folder / ADAPTER_CONFIG_FILE
    return path.is_file() and "peft_type" in read_json(path)


def read(
    folder: Path, tensors: Mapping[str, Any], base: Base, *, matrices: Sequence[str] | None = None
) -> Foreign:
    """Read a LoRA of ``peft``.

    Args:
        folder: The folder with ``adapter_config.json``.
        tensors: The tensors of ``adapter_model.safetensors``.
        base: The base; the wrapped model was its SAM, or its image encoder alone.
        matrices: Which of q, k and v are in the fused layers, if that is known.

    Returns:
        The adapter. Its ``scale`` is alpha / rank if all layers have the same; else B holds each
        layer's own. LoRA on the mask decoder is folded into the mask decoder's weights.

    Raises:
        FormatError: A setting is unknown or changes the arithmetic, a factor lacks its partner, or
            a shape does not fit.
        InputError: The adapter adapts a layer that is not in the base, or that we have no LoRA for.
    """
    where = str(folder / ADAPTER_WEIGHTS_FILE)
    scaling = read_scaling(folder / ADAPTER_CONFIG_FILE)
    check_floating(tensors, where=where)
    factors, saved = _factors(unwrapped(tensors), where=where)
    naming = naming_of(factors, [*factors, *saved], base, is_sam_model=scaling.is_sam_model)
    if naming is None:
        raise _unknown_layer(factors, base, where=where)
    layers = {naming(f"{name}.weight").removesuffix(".weight"): p for name, p in factors.items()}
    for layer, pair in layers.items():
        _check_shapes(layer, pair, base, where=where)
    scales = {
        layer: _scale(scaling, name, pair, where=where)
        for (name, pair), layer in zip(factors.items(), layers, strict=True)
    }
    decoders = _decoders(saved, naming, base, scaling, where=where)
    in_encoder = {n: pair for n, pair in layers.items() if n.startswith(ENCODER_PREFIX)}
    for layer, pair in layers.items():
        if layer not in in_encoder:
            _fold(layer, pair, scales[layer], decoders)
    uniform = {scales[layer] for layer in in_encoder}
    scale = uniform.pop() if len(uniform) == 1 else 1.0
    config = base.config.architecture.image_encoder
    pairs: dict[str, dict[str, Factors]] = {}
    for layer, (a, b) in in_encoder.items():
        short = layer.removeprefix(ENCODER_PREFIX)
        b = b if scales[layer] == scale else b * np.float32(scales[layer] / scale)
        last = short.rpartition(".")[2]
        pairs[short] = split(config, short, a, b, matrices) if last == "qkv" else {last: (a, b)}
    source = {"exchanged_from": "peft"}
    decoded = saved or len(in_encoder) < len(layers)
    told = base.config.source.get("huggingface")
    lacks = () if decoded else ("the folder holds no mask decoder; that of the base is used",)
    notes: tuple[str, ...] = ()
    if scaling.base_model not in (None, told):
        notes = (
            f"{ADAPTER_CONFIG_FILE} says that it was trained over {scaling.base_model}; the base "
            f"says {f'that it is {told}' if told else 'nothing'}, and over another model the "
            "adapter gives other masks",
        )
    if not in_encoder:
        return Foreign(
            method="freeze_encoder", hyperparameters={}, tensors=decoders, source=source,
            notes=notes,
        )  # fmt: skip
    rank = max(len(a) for by_matrix in pairs.values() for a, _ in by_matrix.values())
    pairs = {n: {m: padded(p, rank) for m, p in each.items()} for n, each in pairs.items()}
    blocks, names = matrices_found(config, pairs, where=where)
    return Foreign(
        method="lora",
        hyperparameters={"rank": rank, "matrices": names, "scale": scale, "blocks": blocks},
        tensors={**ungrouped(config, pairs, base, names, blocks, rank), **decoders},
        source=source,
        notes=(*lacks, *notes),
    )


def _factors(
    tensors: Mapping[str, Any], *, where: str
) -> tuple[dict[str, Factors], dict[str, Any]]:
    """Pair A and B by layer; all other tensors belong to saved modules."""
    for part, what in REFUSED_PARTS.items():
        for name in tensors:
            if part in name:
                raise FormatError(f"{where}: tensor {shown(name)} is {what}. {MERGE}")
    a = {n.removesuffix(NAME_OF_A): v for n, v in tensors.items() if n.endswith(NAME_OF_A)}
    b = {n.removesuffix(NAME_OF_B): v for n, v in tensors.items() if n.endswith(NAME_OF_B)}
    if not a and not b:
        raise FormatError(f"{where}: holds no LoRA factors; expected names in {NAME_OF_A}")
    for layer in sorted(set(a) ^ set(b)):
        lacking = NAME_OF_B if layer in a else NAME_OF_A
        raise FormatError(f"{where}: lacks {shown(PREFIX + layer + lacking)}")
    saved = {n: v for n, v in tensors.items() if not n.endswith((NAME_OF_A, NAME_OF_B))}
    return {n: (as_float32(a[n]), as_float32(b[n])) for n in sorted(a)}, saved


def _scale(scaling: Scaling, name: str, pair: Factors, *, where: str) -> float:
    rank, told = len(pair[0]), scaling.rank_of(name)
    if told is not None and told != rank:
        raise FormatError(
            f"{where}: layer {shown(name)}: its A has {rank} rows, but r and rank_pattern of "
            f"{ADAPTER_CONFIG_FILE} say {told:g}"
        )
    return scaling.of(name, rank)


def _check_shapes(layer: str, pair: Factors, base: Base, *, where: str) -> None:
    a, b = pair
    shape = base.tensors[f"{layer}.weight"].shape
    in_encoder = layer.startswith(ENCODER_PREFIX)
    # A convolution has a B of 1 x 1 pixels.
    fits = len(b) == shape[0] and a.shape[1:] == shape[1:] and b.shape[1:2] == a.shape[:1]
    if not fits or b.ndim != a.ndim or any(size != 1 for size in b.shape[2:]):
        raise FormatError(
            f"{where}: layer {shown(layer)}: A {a.shape} and B {b.shape} do not fit the "
            f"weight {shape} of the base"
        )
    if in_encoder and a.ndim != 2:
        raise InputError(
            f"{where}: adapts the convolution {shown(layer)}; LoRA is read on the linear layers of "
            f"the image encoder's blocks, on prompt encoder and mask decoder. {MERGE}"
        )


def _fold(layer: str, pair: Factors, scale: float, decoders: Tensors) -> None:
    """Add the LoRA of a layer outside of the image encoder to its weight."""
    a, b = (value.astype(np.float64) for value in pair)
    weight = decoders[f"{layer}.weight"]
    delta: Array = (b.reshape(len(b), -1) @ a.reshape(len(a), -1)).reshape(weight.shape)
    decoders[f"{layer}.weight"] = (weight.astype(np.float64) + scale * delta).astype(np.float32)


def _unknown_layer(factors: Mapping[str, Any], base: Base, *, where: str) -> InputError:
    unknown = next((n for n in factors if f"{n}.weight" not in base.tensors), next(iter(factors)))
    return InputError(
        f"{where}: adapts the layer {shown(unknown)}, which the base {base.folder} does not have; "
        "adapters of segment-anything's Sam, of Hugging Face's SamModel, or of the image encoder "
        "of one can be read"
    )


def _decoders(
    saved: Mapping[str, Any], naming: Naming, base: Base, scaling: Scaling, *, where: str
) -> Tensors:
    """Return the saved modules' tensors, and the base's for modules that were not saved.

    Saved tensors of the image encoder must be the base's: an adapter of ours has no place for them.
    """
    decoders = base.part(*DECODER_PREFIXES)
    biases = 0
    for name, value in saved.items():
        plain = naming(name.replace(".modules_to_save.default.", ".").replace(".base_layer.", "."))
        biases += plain.endswith(".bias")
        if plain.startswith(ENCODER_PREFIX) and plain in base.tensors:
            if same(value, base.tensors[plain]):
                continue
            if plain.endswith(".bias") and scaling.bias != "none":
                raise _refused_biases(scaling, where=where)
        if plain not in decoders:
            raise FormatError(
                f"{where}: tensor {shown(name)} is neither a LoRA factor nor a tensor of the "
                f"prompt encoder or mask decoder, which alone are finetuned as a whole. {MERGE}"
            )
        if value.shape != decoders[plain].shape:
            raise FormatError(
                f"{where}: tensor {shown(name)}: found the shape {value.shape}, expected "
                f"{decoders[plain].shape}"
            )
        decoders[plain] = as_float32(value)
    shared = [saved.get(name, base.tensors[POSITIONS]) for name in SHARED_POSITIONS]
    if not same(*shared):
        raise FormatError(
            f"{where}: tensor {shown(SHARED_POSITIONS[1])} differs from {SHARED_POSITIONS[0]}: "
            "prompts have another position encoding than the image, but SAM has one for both. "
            "Freeze it in training (positional_embedding.requires_grad_(False))"
        )
    if scaling.bias != "none" and not biases:
        raise _refused_biases(scaling, where=where)
    return decoders


def _refused_biases(scaling: Scaling, *, where: str) -> FormatError:
    return FormatError(
        f"{where}: bias: found {scaling.bias!r}, allowed is 'none' where the image encoder is "
        f"adapted, since its biases have no place in a LoRA adapter. {MERGE}"
    )
