"""The adapter folder: what training adds to a base, and where it came from.

In: a trained ``Sam``. Out: ``adapter_config.json`` and ``adapter_model.safetensors``: the encoder's
delta, and the finetuned prompt encoder, mask decoder and AIS decoder, never the frozen encoder.
Written by ``fit.py``, read by ``samzoo.zoo.merge`` (which needs no torch for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import (
    AisParameters,
    Architecture,
    Preprocessing,
    check_format,
    from_json,
    to_json,
)
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.files import read_json, write_json, write_tensors
from samzoo.runtime.tensor_files import TensorFile

ADAPTER_FORMAT, ADAPTER_VERSION = "samzoo-adapter", 1
CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True, kw_only=True)
class AdapterConfig:
    """The content of ``adapter_config.json``.

    Attributes:
        method: Its name in ``samzoo.training.methods.METHODS``.
        hyperparameters: Of the method.
        base_digest: Weights digest of the base it was trained on; merge refuses others.
        base_path: Where the base lay while training; a hint only.
        architecture: Of the finetuned model, AIS decoder included.
        preprocessing: That the adapter was trained with.
        ais: Thresholds for the automatic segmentation.
        adapter_digest: Weights digest of ``adapter_model.safetensors``.
        source: Provenance: the base's source, data, settings, seed, scores, software, licence.
    """

    method: str
    base_digest: str
    architecture: Architecture
    preprocessing: Preprocessing
    ais: AisParameters
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    base_path: str = ""
    adapter_digest: str = ""
    source: dict[str, Any] = field(default_factory=dict)


def write_adapter(folder: Path, config: AdapterConfig, tensors: Tensors) -> None:
    """Write both files into an existing folder, the config last: it is the commit point.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_tensors(folder / WEIGHTS_FILE, tensors, {"format": ADAPTER_FORMAT})
    fields = {**to_json(config), "adapter_digest": weights_digest(tensors)}
    header = {"format": {"name": ADAPTER_FORMAT, "version": ADAPTER_VERSION}}
    write_json(folder / CONFIG_FILE, {**header, **fields})


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter."""
    return (folder / CONFIG_FILE).is_file()


def read_adapter(folder: Path) -> tuple[AdapterConfig, Tensors]:
    """Read and check an adapter folder.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, from a newer samzoo, or they do not belong together.
    """
    config, tensors = open_adapter(folder)
    return config, dict(tensors)


def open_adapter(folder: Path) -> tuple[AdapterConfig, TensorFile]:
    """Check an adapter folder as ``read_adapter`` does, in the memory of one tensor.

    Returns:
        The config, and the tensors as a mapping that reads each when it is asked for.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, from a newer samzoo, or they do not belong together.
    """
    path = folder / CONFIG_FILE
    value = read_json(path)
    check_format(value, ADAPTER_FORMAT, ADAPTER_VERSION, where=str(path))
    value.pop("format")
    config = from_json(AdapterConfig, value, where=str(path))
    tensors = TensorFile(folder / WEIGHTS_FILE)
    digest = weights_digest(tensors)
    if digest != config.adapter_digest:
        raise FormatError(
            f"{path}: adapter_digest is {shown(config.adapter_digest)}, but {WEIGHTS_FILE} has "
            f"{digest}; the files do not belong together"
        )
    return config, tensors


def adapter_tensors(state: Mapping[str, Any], encoder_delta: set[str]) -> Tensors:
    """Pick what an adapter stores out of a whole model's state.

    Args:
        state: All tensors of a ``Sam`` by name.
        encoder_delta: Names under ``image_encoder.`` that the method trained.

    Returns:
        The delta, and all of the prompt encoder, mask decoder and AIS decoder.
    """
    return {
        name: value
        for name, value in state.items()
        if not name.startswith("image_encoder.") or name in encoder_delta
    }
