"""Folding an adapter into its base: full-precision weights under the original SAM names.

In: an adapter folder and the base it was trained on. Out: a model folder. Needs no torch: merging
is arithmetic on arrays. Called by the ``merge`` verb and by ``export.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import ModelConfig
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.errors import FormatError, NotFoundError, WrongBaseError, shown
from samzoo.runtime.files import (
    check_finite,
    check_output_folder,
    read_json,
    read_tensors,
    write_folder,
    write_json,
    write_tensors,
)
from samzoo.training.adapter import CONFIG_FILE, AdapterConfig, read_adapter
from samzoo.training.methods import get_method

ENCODER_PREFIX, AIS_PREFIX = "image_encoder.", "ais_decoder."


def merge(
    adapter: Path, output: Path, *, base: Path | None = None, force: bool = False
) -> ModelConfig:
    """Fold an adapter into its base and write the model folder.

    Args:
        adapter: The adapter's folder.
        output: The model folder to write.
        base: The base's folder; where it lay while training by default.
        force: Replace an existing ``output``.

    Returns:
        The model's config.

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The base is not the one the adapter was trained on.
        FormatError: A file is damaged, or shapes do not fit.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
    """
    check_output_folder(output, force=force, inputs=input_folders(adapter, base))
    config, tensors = merged(adapter, base=base)

    def fill(folder: Path) -> None:
        write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
        write_json(folder / "config.json", config.to_json())

    write_folder(output, fill, force=force)
    return config


def input_folders(adapter: Path, base: Path | None) -> list[Path]:
    """List the folders that a merge reads, which nothing may be written over.

    Raises:
        NotFoundError: There is no adapter.
        FormatError: Its config is damaged.
    """
    hint = read_json(adapter / CONFIG_FILE).get("base_path") if base is None else base
    return [adapter, Path(hint)] if hint and isinstance(hint, (str, Path)) else [adapter]


def merged(adapter: Path, *, base: Path | None = None) -> tuple[ModelConfig, Tensors]:
    """Fold an adapter into its base, in memory.

    Returns:
        The model's config and its weights by original SAM names.

    Raises:
        NotFoundError: A file is missing.
        WrongBaseError: The base is not the one the adapter was trained on.
        FormatError: A file is damaged, or shapes do not fit.
    """
    config, delta = read_adapter(adapter)
    base_config, base_tensors = _read_base(config, adapter, base)
    weights = fold(config, base_tensors, delta)
    check_finite(weights, where=f"{adapter} merged")
    model = ModelConfig(
        architecture=config.architecture,
        preprocessing=config.preprocessing,
        ais=config.ais,
        weights_digest=weights_digest(weights),
        source={
            "merged_from": {
                "adapter_digest": config.adapter_digest,
                "base_digest": base_config.weights_digest,
                "method": config.method,
                "hyperparameters": config.hyperparameters,
            },
            **config.source,
        },
    )
    return model, weights


def fold(config: AdapterConfig, base: Mapping[str, Any], adapter: Mapping[str, Any]) -> Tensors:
    """Put together a model's weights.

    Args:
        config: The adapter's config.
        base: All weights of the base, float32.
        adapter: All tensors of the adapter.

    Returns:
        Encoder weights with the delta folded in, and the adapter's own prompt encoder, mask
        decoder and AIS decoder. No finetuned tensor is left out.

    Raises:
        FormatError: A tensor does not fit the base.
    """
    delta = {n: v for n, v in adapter.items() if n.startswith(ENCODER_PREFIX)}
    finetuned = {n: v for n, v in adapter.items() if not n.startswith(ENCODER_PREFIX)}
    encoder = {n: v for n, v in base.items() if n.startswith(ENCODER_PREFIX)}
    for name, value in base.items():
        if name.startswith(("prompt_encoder.", "mask_decoder.")):
            found = finetuned.get(name)
            if found is None or found.shape != value.shape:
                shape = "nothing" if found is None else f"shape {found.shape}"
                raise FormatError(
                    f"adapter tensor {shown(name)}: expected shape {value.shape}, found {shape}"
                )
    for name in finetuned:
        if name not in base and not name.startswith(AIS_PREFIX):
            raise FormatError(f"adapter tensor {shown(name)} is not in the base")
    method = get_method(config.method)
    changed = method.fold(
        encoder, delta, config.architecture, method.hyperparameters(config.hyperparameters)
    )
    return {**encoder, **changed, **finetuned}


def _read_base(
    config: AdapterConfig, adapter: Path, base: Path | None
) -> tuple[ModelConfig, Tensors]:
    if base is None and not config.base_path:
        raise NotFoundError(f"{adapter}: does not say where its base is; pass it with --base")
    folder = base or Path(config.base_path)
    if not (folder / "config.json").is_file():
        hint = "pass --base with the base's folder" if base is None else "check the path"
        raise NotFoundError(
            f"{folder}: the base of {adapter} is not there (config.json missing); {hint}"
        )
    base_config = ModelConfig.read(folder / "config.json")
    tensors = read_tensors(folder / "model.safetensors")
    digest = weights_digest(tensors)
    if digest != config.base_digest:
        raise WrongBaseError(
            f"{folder}: weights digest {digest} is not that of the base that {adapter} was "
            f"trained on ({config.base_digest}); pass the right one with --base"
        )
    return base_config, {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in tensors.items()
    }
