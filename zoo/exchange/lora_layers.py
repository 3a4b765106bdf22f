"""A LoRA adapter's tensors grouped by layer and matrix, and back.

In: ``image_encoder.<layer>.lora_a.<matrix>`` and so on. Out: factors by layer. An adapter of ours
has the same matrices in all its blocks. Factors that another tool's adapter leaves out become
zeros, which add nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.training.methods.blocks import Blocks, block_names
from samzoo.training.methods.layers import FUSED, block_layers, linear_layers, matrix_rows
from samzoo.training.methods.lora import MATRICES, Matrix
from samzoo.zoo.checkpoints.base import Base

from .fused_lora import Factors

Layers = dict[str, dict[str, Factors]]
"""Factors by layer (its name in the encoder) and matrix."""


def grouped(tensors: Mapping[str, Any]) -> Layers:
    """Group an adapter's factors, whose names and shapes have been checked."""
    layers: Layers = {}
    for name in sorted(tensors):
        layer, found, matrix = name.partition(".lora_a.")
        if found and name.startswith(ENCODER_PREFIX):
            pair = (tensors[name], tensors[f"{layer}.lora_b.{matrix}"])
            layers.setdefault(layer.removeprefix(ENCODER_PREFIX), {})[matrix] = pair
    return {
        layer: dict(sorted(pairs.items(), key=lambda item: (*FUSED, item[0]).index(item[0])))
        for layer, pairs in layers.items()
    }


def ungrouped(
    config: EncoderConfig,
    layers: Layers,
    base: Base,
    matrices: Sequence[str],
    blocks: Blocks,
    rank: int,
) -> Tensors:
    """Name the factors, with zeros for those that other blocks have and this one lacks."""
    tensors: Tensors = {}
    for layer, names in linear_layers(config, matrices, blocks):
        outputs, inputs = base.tensors[f"{ENCODER_PREFIX}{layer}.weight"].shape
        for matrix in names:
            rows = len(matrix_rows(config, layer, matrix, outputs))
            zeros = (np.zeros((rank, inputs), np.float32), np.zeros((rows, rank), np.float32))
            a, b = layers.get(layer, {}).get(matrix, zeros)
            tensors[f"{ENCODER_PREFIX}{layer}.lora_a.{matrix}"] = a
            tensors[f"{ENCODER_PREFIX}{layer}.lora_b.{matrix}"] = b
    return tensors


def matrices_found(
    config: EncoderConfig, layers: Mapping[str, Iterable[str]], *, where: str
) -> tuple[tuple[int, ...] | None, tuple[Matrix, ...]]:
    """Find the hyperparameters ``blocks`` and ``matrices`` that cover all the layers.

    Raises:
        InputError: LoRA cannot adapt one of the layers here.
    """
    names, ours = block_names(config), block_layers(config)
    kinds = {ours["qkv"]: "qkv", ours["proj"]: "proj", ours["lin1"]: "mlp", ours["lin2"]: "mlp"}
    blocks, found = set(), set()
    for layer, matrices in layers.items():
        owner = next((n for n in names if layer.startswith(f"{n}.")), None)
        kind = kinds.get(layer[len(owner) + 1 :]) if owner is not None else None
        if owner is None or kind is None:
            raise InputError(
                f"{where}: adapts the layer {shown(ENCODER_PREFIX + layer)}; LoRA is read on "
                f"{', '.join(kinds)} of the image encoder's blocks, and on the mask decoder"
            )
        blocks.add(names.index(owner))
        found |= set(matrices) if kind == "qkv" else {kind}
    chosen = tuple(sorted(blocks))
    return (
        None if len(chosen) == len(names) else chosen,
        tuple(matrix for matrix in MATRICES if matrix in found),
    )
