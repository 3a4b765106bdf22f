"""Weighted sums of LoRA adapters over one base.

Encoder: ``W + sum_i w_i * scale_i * B_i A_i``, written as one LoRA adapter. The A are stacked as
rows; the B, multiplied by ``w_i * scale_i``, are put side by side; the scale is 1. The rank is the
sum of the ranks.

Prompt encoder and mask decoder, which every adapter holds in full: ``T + sum_i w_i * (T_i - T)``
with T the base's tensor; for weights that sum to 1 this is the weighted mean of the T_i.

AIS decoder: the same if the base has one of the same kind. Otherwise there is no T, and the result
is the mean ``sum_i w_i T_i / sum_i w_i``.

In: adapter folders. Out: an adapter folder.

Source: Ilharco et al., Editing Models with Task Arithmetic (ICLR 2023); the AIS decoder's mean is
our own choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np

from samzoo.runtime.errors import FormatError, InputError, WrongBaseError, shown, use_each
from samzoo.runtime.formats.adapter import (
    AdapterConfig,
    base_folder,
    check_base,
    read_adapter,
    write_adapter,
)
from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.four_bit import Quantization
from samzoo.runtime.formats.outputs import check_output_folder, write_folder
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, DECODER_PREFIXES
from samzoo.runtime.formats.tensor_files import check_finite
from samzoo.training.methods import get_method
from samzoo.training.methods.lora import LoraSettings
from samzoo.training.methods.table import factored_methods, factored_settings, usual_form
from samzoo.zoo.checkpoints.base import Base, read_base
from samzoo.zoo.exchange.foreign import Foreign, completed
from samzoo.zoo.exchange.lora_layers import Layers, grouped, matrices_found, ungrouped

Adapter = tuple[AdapterConfig, Tensors]


def sum_adapters(
    adapters: Sequence[Path],
    output: Path,
    *,
    weights: Sequence[float],
    base: Path | None = None,
    force: bool = False,
) -> AdapterConfig:
    """Write the weighted sum of LoRA adapters as one adapter folder.

    Args:
        adapters: At least two adapter folders.
        output: The adapter folder to write.
        weights: One for each; any finite numbers.
        base: Their base; where the first one's lay while training by default.
        force: Replace an existing ``output``.

    Returns:
        The sum's config.

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The adapters, or the base, do not belong to one base.
        FormatError: A file is damaged.
        InputError: Wrong weights, a method without deltas to sum, or adapters that differ in
            their preprocessing, AIS decoder or quantisation. Of several adapters that cannot be
            used, the message lists all.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
    """
    inputs = [*adapters, *([base] if base is not None else [])]
    check_output_folder(output, force=force, inputs=inputs)
    config, tensors = summed(adapters, weights=weights, base=base)
    write_folder(output, lambda folder: write_adapter(folder, config, tensors), force=force)
    return config


def summed(
    adapters: Sequence[Path], *, weights: Sequence[float], base: Path | None = None
) -> Adapter:
    """Sum adapters, in memory; see ``sum_adapters``."""
    _check_weights(adapters, weights)
    read_all = use_each("adapters", adapters, _read)
    given = [(config, tensors) for config, tensors, _ in read_all]
    settings = [each for _, _, each in read_all]
    first = given[0][0]
    use_each(
        "adapters", zip(adapters[1:], given[1:], strict=True),
        lambda each: _check_alike(first, each[1][0], adapters[0], each[0]),
    )  # fmt: skip
    folder = base_folder(first, adapters[0], base)
    read = read_base(folder)
    check_base(first, adapters[0], folder, read.config.weights_digest)
    where = " + ".join(str(folder) for folder in adapters)
    total, delta = _sum_of_deltas(given, settings, weights, read, where=where)
    foreign = Foreign(
        method=usual_form(first.method),
        hyperparameters=to_json(total),
        tensors={**delta, **_sum_of_decoders(given, weights, read, where=where)},
        ais_decoder=first.architecture.ais_decoder,
        preprocessing=first.preprocessing,
        ais=first.ais,
        point_output=first.architecture.mask_decoder.point_output,
        source={
            "sum_of": [
                {"weight": float(weight), "adapter_digest": config.adapter_digest,
                 "source": config.source}
                for weight, (config, _) in zip(weights, given, strict=True)
            ]
        },
    )  # fmt: skip
    return completed(foreign, read, where=where)


def _read(folder: Path) -> tuple[AdapterConfig, Tensors, LoraSettings]:
    config, tensors = read_adapter(folder)
    return config, tensors, _settings(config, folder)


def _settings(config: AdapterConfig, folder: Path) -> LoraSettings:
    if not get_method(config.method).factored:
        raise InputError(
            f"{folder}: method: found {config.method!r}; sums are defined for the deltas of "
            f"{', '.join(factored_methods())}"
        )
    return factored_settings(config.method, config.hyperparameters, where=str(folder))


def _quantization(config: AdapterConfig, folder: Path) -> Quantization | None:
    method = get_method(config.method)
    return method.quantization(method.settings(config.hyperparameters, where=str(folder)))


def _check_weights(adapters: Sequence[Path], weights: Sequence[float]) -> None:
    if len(adapters) < 2:
        raise InputError(f"a sum takes at least two adapters, found {len(adapters)}")
    if len(weights) != len(adapters):
        raise InputError(
            f"weights: expected {len(adapters)} numbers, one for each adapter, found {len(weights)}"
        )
    if not all(isfinite(weight) for weight in weights) or not any(weights):
        raise InputError(
            f"weights: expected finite numbers that are not all 0, found {shown(list(weights))}"
        )


def _check_alike(first: AdapterConfig, other: AdapterConfig, a: Path, b: Path) -> None:
    if other.base_digest != first.base_digest:
        raise WrongBaseError(
            f"{b}: base_digest {other.base_digest} is not that of {a} ({first.base_digest}); only "
            "adapters over one base can be summed"
        )
    if usual_form(first.method) != usual_form(other.method):
        raise InputError(
            f"{b}: method: found {other.method!r} next to {first.method!r} of {a}; sums are "
            f"defined for adapters of one kind out of {', '.join(factored_methods())}"
        )
    for name, mine, theirs in (
        ("preprocessing", first.preprocessing, other.preprocessing),
        ("architecture.ais_decoder", first.architecture.ais_decoder,
         other.architecture.ais_decoder),
        ("architecture.mask_decoder", first.architecture.mask_decoder,
         other.architecture.mask_decoder),
        ("hyperparameters.quantization", _quantization(first, a), _quantization(other, b)),
    ):  # fmt: skip
        if mine != theirs:
            raise InputError(
                f"{b}: {name}: found {shown(theirs)}, expected that of {a}: {shown(mine)}"
            )


def _sum_of_deltas(
    given: Sequence[Adapter],
    settings: Sequence[LoraSettings],
    weights: Sequence[float],
    base: Base,
    *,
    where: str,
) -> tuple[LoraSettings, Tensors]:
    config = base.config.architecture.image_encoder
    stacks: dict[str, dict[str, list[tuple[Array, Array]]]] = {}
    rank = sum(each.rank for each in settings)
    groups = [grouped(tensors) for _, tensors in given]
    for layer in sorted({layer for group in groups for layer in group}):
        for matrix in sorted({m for group in groups for m in group.get(layer, {})}):
            for own, weight, group in zip(settings, weights, groups, strict=True):
                factor = np.float32(weight * own.scale)
                shapes = next(g[layer][matrix] for g in groups if matrix in g.get(layer, {}))
                absent = (
                    np.zeros((own.rank, shapes[0].shape[1]), np.float32),
                    np.zeros((len(shapes[1]), own.rank), np.float32),
                )
                a, b = group.get(layer, {}).get(matrix, absent)
                stacks.setdefault(layer, {}).setdefault(matrix, []).append((a, b * factor))
    layers: Layers = {
        layer: {
            matrix: (
                np.concatenate([a for a, _ in pairs]),
                np.concatenate([b for _, b in pairs], axis=1),
            )
            for matrix, pairs in by_matrix.items()
        }
        for layer, by_matrix in stacks.items()
    }
    blocks, matrices = matrices_found(config, layers, where=where)
    total = replace(
        settings[0], rank=rank, matrices=matrices, scale=1.0, mask_decoder_rank=0, blocks=blocks
    )
    return total, ungrouped(config, layers, base, matrices, blocks, rank)


def _sum_of_decoders(
    given: Sequence[Adapter], weights: Sequence[float], base: Base, *, where: str
) -> Tensors:
    same_ais = base.config.architecture.ais_decoder == given[0][0].architecture.ais_decoder
    total = float(sum(weights))
    result: Tensors = {}
    for name, first in given[0][1].items():
        if not name.startswith((*DECODER_PREFIXES, AIS_DECODER_PREFIX)):
            continue
        if any(name not in tensors or tensors[name].shape != first.shape for _, tensors in given):
            raise FormatError(f"{where}: tensor {shown(name)}: not the same in all adapters")
        if not np.issubdtype(first.dtype, np.floating):
            result[name] = first  # BatchNorm's counter
            continue
        values = [tensors[name].astype(np.float64) for _, tensors in given]
        start: Mapping[str, Array] = base.tensors
        if name.startswith(AIS_DECODER_PREFIX) and not same_ais:
            if abs(total) < 1e-6:
                raise InputError(
                    f"weights: add up to {total:g}, but the base has no AIS decoder to start "
                    "from; expected weights that do not add up to 0"
                )
            mean = sum(w * v for w, v in zip(weights, values, strict=True)) / total
        else:
            origin = start[name].astype(np.float64)
            mean = origin + sum(w * (v - origin) for w, v in zip(weights, values, strict=True))
        result[name] = np.asarray(mean).astype(np.float32)
        if name.endswith(".running_var") and (result[name] < 0).any():
            raise InputError(
                f"weights: tensor {shown(name)}: the sum has negative variances; use weights from "
                "0 to 1"
            )
    check_finite(result, where=where)
    return result
