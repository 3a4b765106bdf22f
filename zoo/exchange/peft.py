"""Reading and writing of LoRA folders of Hugging Face's ``peft``, over a segment-anything ``Sam``.

Reading: ``adapter_config.json`` and ``adapter_model.safetensors`` in, an adapter by our names out.
Writing: an adapter in, a folder for ``PeftModel.from_pretrained(sam, folder)`` out, with prompt
encoder and mask decoder as ``modules_to_save``. Needs neither torch nor peft.

Source: peft 0.21.2, ``tuners/lora`` and ``utils/save_and_load.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, ADAPTER_WEIGHTS_FILE
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.files import read_json
from samzoo.runtime.formats.prefixes import DECODER_PREFIXES, ENCODER_PREFIX
from samzoo.training.methods.lora import LoraSettings
from samzoo.zoo.checkpoints.base import Base, as_float32

from .foreign import Foreign
from .fused_lora import Factors, fuse, padded, split
from .lora_layers import grouped, matrices_found, ungrouped
from .peft_config import read_scaling

PREFIX = "base_model.model."
"""The prefix that ``PeftModel`` puts before the names of the model it wraps."""

NAME_OF_A, NAME_OF_B = ".lora_A.weight", ".lora_B.weight"


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
    named = {name.removeprefix(PREFIX).removeprefix("sam."): v for name, v in tensors.items()}
    factors, saved = _factors(named, where=where)
    root = _root(factors, base, where=where)
    layers = {f"{root}{layer}": pair for layer, pair in factors.items()}
    scales = {
        layer: scaling.of(layer.removeprefix(root), len(a)) for layer, (a, _) in layers.items()
    }
    for layer, (a, b) in layers.items():
        shape = base.tensors[f"{layer}.weight"].shape
        if a.ndim != 2 or b.ndim != 2 or (len(b), a.shape[1]) != shape or b.shape[1] != len(a):
            raise FormatError(
                f"{where}: layer {shown(layer)}: A {a.shape} and B {b.shape} do not fit the "
                f"weight {shape} of the base"
            )
    in_encoder = {n: pair for n, pair in layers.items() if n.startswith(ENCODER_PREFIX)}
    uniform = {scales[layer] for layer in in_encoder}
    scale = uniform.pop() if len(uniform) == 1 else 1.0
    config = base.config.architecture.image_encoder
    pairs: dict[str, dict[str, Factors]] = {}
    for layer, (a, b) in in_encoder.items():
        short = layer.removeprefix(ENCODER_PREFIX)
        b = b if scales[layer] == scale else b * np.float32(scales[layer] / scale)
        last = short.rpartition(".")[2]
        pairs[short] = split(config, short, a, b, matrices) if last == "qkv" else {last: (a, b)}
    decoders = _decoders(saved, base, where=where)
    _fold_decoder({n: p for n, p in layers.items() if n not in in_encoder}, scales, decoders)
    source = {"exchanged_from": "peft"}
    notes = () if saved else ("the folder holds no mask decoder; that of the base is used",)
    if not in_encoder:
        return Foreign(method="freeze_encoder", hyperparameters={}, tensors=decoders, source=source)
    rank = max(len(a) for by_matrix in pairs.values() for a, _ in by_matrix.values())
    pairs = {n: {m: padded(p, rank) for m, p in each.items()} for n, each in pairs.items()}
    blocks, names = matrices_found(config, pairs, where=where)
    return Foreign(
        method="lora",
        hyperparameters={"rank": rank, "matrices": names, "scale": scale, "blocks": blocks},
        tensors={**ungrouped(config, pairs, base, names, blocks, rank), **decoders},
        source=source,
        notes=notes,
    )


def _fold_decoder(
    layers: Mapping[str, Factors], scales: Mapping[str, float], decoders: Tensors
) -> None:
    """Add the LoRA of the mask decoder's layers to their weights."""
    for layer, (a, b) in layers.items():
        weight = decoders[f"{layer}.weight"].astype(np.float64)
        delta = scales[layer] * (b.astype(np.float64) @ a.astype(np.float64))
        decoders[f"{layer}.weight"] = (weight + delta).astype(np.float32)


def _factors(
    tensors: Mapping[str, Any], *, where: str
) -> tuple[dict[str, Factors], dict[str, Any]]:
    """Pair A and B by layer; all other tensors belong to saved modules."""
    a = {n.removesuffix(NAME_OF_A): v for n, v in tensors.items() if n.endswith(NAME_OF_A)}
    b = {n.removesuffix(NAME_OF_B): v for n, v in tensors.items() if n.endswith(NAME_OF_B)}
    if not a and not b:
        raise FormatError(f"{where}: holds no LoRA factors; expected names in {NAME_OF_A}")
    for layer in sorted(set(a) ^ set(b)):
        lacking = NAME_OF_B if layer in a else NAME_OF_A
        raise FormatError(f"{where}: lacks {shown(PREFIX + layer + lacking)}")
    saved = {n: v for n, v in tensors.items() if not n.endswith((NAME_OF_A, NAME_OF_B))}
    return {n: (as_float32(a[n]), as_float32(b[n])) for n in sorted(a)}, saved


def _root(factors: Mapping[str, Any], base: Base, *, where: str) -> str:
    """Tell whether the wrapped model was the SAM or its image encoder."""
    for root in ("", ENCODER_PREFIX):
        if all(f"{root}{layer}.weight" in base.tensors for layer in factors):
            return root
    unknown = next(n for n in factors if f"{n}.weight" not in base.tensors)
    raise InputError(
        f"{where}: adapts the layer {shown(unknown)}, which the base {base.folder} does not have; "
        "adapters of segment-anything's Sam or of its image encoder can be read"
    )


def _decoders(saved: Mapping[str, Any], base: Base, *, where: str) -> Tensors:
    """Return the saved modules' tensors, and the base's for modules that were not saved."""
    decoders = base.part(*DECODER_PREFIXES)
    for name, value in saved.items():
        plain = name.replace(".modules_to_save.default.", ".")
        if plain not in decoders:
            raise FormatError(
                f"{where}: tensor {shown(name)} is neither a LoRA factor nor a tensor of the "
                "prompt encoder or mask decoder"
            )
        if value.shape != decoders[plain].shape:
            raise FormatError(
                f"{where}: tensor {shown(name)}: found the shape {value.shape}, expected "
                f"{decoders[plain].shape}"
            )
        decoders[plain] = as_float32(value)
    return decoders


def write(
    settings: LoraSettings, tensors: Mapping[str, Any], base: Base
) -> tuple[dict[str, Any], Tensors]:
    """Bring a LoRA adapter into the form of ``peft``.

    Args:
        settings: The settings of the method.
        tensors: The adapter's tensors by our names.
        base: The adapter's base.

    Returns:
        The content of ``adapter_config.json`` and ``adapter_model.safetensors``. A fused layer has
        one LoRA of rank ``n * rank``. B includes the scale, and ``lora_alpha`` is the rank, so that
        ``peft`` scales by 1.
    """
    config, scale = base.config.architecture.image_encoder, np.float32(settings.scale)
    state: Tensors = {}
    ranks: dict[str, int] = {}
    for layer, by_matrix in grouped(tensors).items():
        outputs = len(base.tensors[f"{ENCODER_PREFIX}{layer}.weight"])
        pairs = {m: (a, b if scale == 1 else b * scale) for m, (a, b) in by_matrix.items()}
        a, b = fuse(config, layer, pairs, outputs)
        state[f"{PREFIX}{ENCODER_PREFIX}{layer}{NAME_OF_A}"] = a
        state[f"{PREFIX}{ENCODER_PREFIX}{layer}{NAME_OF_B}"] = b
        ranks[f"{ENCODER_PREFIX}{layer}"] = len(a)
    for name, value in tensors.items():
        if name.startswith(DECODER_PREFIXES):
            state[f"{PREFIX}{name}"] = value
    most = max(ranks.values())
    # Patterns are regular expressions; the last name of a layer is enough.
    patterns = {name.rpartition(".")[2]: r for name, r in ranks.items() if r != most}
    return {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "r": most,
        "lora_alpha": most,
        "rank_pattern": patterns,
        "alpha_pattern": patterns,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": False,
        "use_dora": False,
        "fan_in_fan_out": False,
        "init_lora_weights": True,
        "target_modules": sorted(ranks),
        "modules_to_save": [prefix.rstrip(".") for prefix in DECODER_PREFIXES],
    }, state
