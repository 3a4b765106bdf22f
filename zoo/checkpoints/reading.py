"""Reading of other tools' checkpoints, without running any code in them.

In: a PyTorch file, a safetensors file, or a Hugging Face folder. Out: tensors by the original SAM
names. The content decides which kind a file is, not its name. Needs neither torch nor the tool that
wrote the file.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.layer_shapes import BATCH_NORM_COUNTER
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, ENCODER_PREFIX
from samzoo.runtime.formats.tensor_files import (
    BFLOAT16,
    DTYPES,
    MAX_TENSORS,
    TensorFile,
    check_finite,
)

from .huggingface import FolderNumbers, is_folder, read_folder
from .huggingface_names import from_huggingface, is_huggingface
from .pickle_machine import Placeholder
from .stored_tensors import StoredTensor, load_tensors
from .torch_file import STREAM_START, ZIP_START, read_torch_file

logger = logging.getLogger(__name__)

MAX_CHECKPOINT_BYTES = 12 * 2**30
"""Largest file. A ViT-H SAM in float32 with its optimizer's copies takes 7.7 GB (own choice)."""

FLOATS = ("float16", "bfloat16", "float32", "float64")

WRAPPERS = ("model", "state_dict")
"""Keys under which checkpoints commonly hold their state dict."""

MODEL_STATE, DECODER_STATE = "model_state", "decoder_state"
"""micro-sam's keys, in its exports and in the checkpoints of its trainer."""

PREFIXES = ("module.", "sam.")
"""Prefixes that torch's DataParallel and micro-sam's trainer put before every name."""

ENCODER_OF_DECODER = "encoder."
"""Where torch-em's UNETR holds SAM's image encoder; micro-sam leaves it out when it saves."""


@dataclass(frozen=True)
class StateDicts:
    """The state dicts in a checkpoint file.

    Attributes:
        model: SAM's tensors, in the file's dtypes (bfloat16 as float32).
        decoder: The AIS decoder's tensors, by torch-em's names; empty if there are none.
    """

    model: Tensors
    decoder: Tensors


@dataclass(frozen=True)
class Checkpoint:
    """Another tool's checkpoint, in memory.

    Attributes:
        file: The file with the weights.
        weights: float32 arrays by the original SAM names (BatchNorm's counters int64), all finite;
            those of the AIS decoder under ``ais_decoder.``.
        folder: Further settings of a Hugging Face folder; None for a file.
    """

    file: Path
    weights: Tensors
    folder: FolderNumbers | None


def read_checkpoint(path: Path, *, decoder: Path | None = None) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: A PyTorch or safetensors file, or a Hugging Face folder of a ``SamModel``.
        decoder: The file with micro-sam's AIS decoder, if it is a separate file.

    Returns:
        The checkpoint's weights, with what a Hugging Face folder says about them.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, is damaged or too large, or holds anything other
            than a SAM's tensors.
        StorageError: The file cannot be read.
    """
    file, folder = path, None
    if path.is_dir():
        if not is_folder(path):
            raise FormatError(
                f"{path}: is a folder without the config of a Hugging Face model; pass the "
                "checkpoint file in it"
            )
        file, folder = read_folder(path)
    found = read_state_dicts(file)
    ais = found.decoder
    if decoder is not None:
        if ais:
            raise FormatError(f"{path}: holds an AIS decoder already; omit --decoder {decoder}")
        ais = _separate_decoder(decoder)
    named = {**found.model, **{f"{AIS_DECODER_PREFIX}{name}": value for name, value in ais.items()}}
    weights = as_weights(named, where=str(file))
    return Checkpoint(file, weights, folder)


def read_state_dicts(path: Path) -> StateDicts:
    """Read a file's tensors, of any dtype, by the names that SAM and torch-em give them.

    A state dict may be bare; under ``model`` or ``state_dict``; or under micro-sam's
    ``model_state``, with ``decoder_state`` beside it. Other contents of the file (an optimizer,
    settings) are not read. Prefixes that all names share are removed, and Hugging Face's names are
    replaced.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, is damaged or too large, or has no state dict.
        StorageError: The file cannot be read.
    """
    start = _start_of(path)
    if path.suffix == ".safetensors" or start[8:] == b"{":
        model: Mapping[str, Any] = dict(TensorFile(path, dtypes=(*DTYPES, BFLOAT16)))
        decoder: Mapping[str, Any] = {}
    elif start.startswith((ZIP_START, STREAM_START)):
        states = _state_dicts(read_torch_file(path), path)
        # In one call: both together may not claim more bytes than the file holds.
        places = {f"{kind}/{n}": t for kind, state in states.items() for n, t in state.items()}
        read = load_tensors(places, path)
        model, decoder = (
            {n: read[f"{kind}/{n}"] for n in states.get(kind, ())}
            for kind in (MODEL_STATE, DECODER_STATE)
        )
    else:
        raise FormatError(
            f"{path}: not a checkpoint, it starts with {shown(start)}; "
            "expected a PyTorch (.pth, .pt) or safetensors file"
        )
    for prefix in PREFIXES:
        model = _without(prefix, model)
    if is_huggingface(model):
        model = from_huggingface(model, where=str(path))
    decoder = {n: v for n, v in decoder.items() if not n.startswith(ENCODER_OF_DECODER)}
    return StateDicts(dict(model), dict(decoder))


def as_weights(tensors: Mapping[str, Any], *, where: str) -> Tensors:
    """Check that tensors are a network's weights, and convert them to one dtype.

    Returns:
        float32; BatchNorm's counters int64. All finite.

    Raises:
        FormatError: A tensor has another dtype, or holds NaN or infinity.
    """
    weights: Tensors = {}
    for name, value in tensors.items():
        dtype = value.dtype.name
        counter = dtype == "int64" and name.rsplit(".", 1)[-1] == BATCH_NORM_COUNTER
        if dtype not in FLOATS and not counter:
            raise FormatError(
                f"{where}: tensor {shown(name)}: found {dtype}, allowed are {', '.join(FLOATS)} "
                f"(and int64 for {BATCH_NORM_COUNTER})"
            )
        with np.errstate(over="ignore"):  # becomes infinite, which check_finite reports by name
            weights[name] = value if counter else value.astype(np.float32, copy=False)
    check_finite(weights, where=where)
    return weights


def _start_of(path: Path) -> bytes:
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; pass the checkpoint file in it")
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    if not 0 < size <= MAX_CHECKPOINT_BYTES:
        raise FormatError(f"{path}: found {size} bytes, allowed are 1 to {MAX_CHECKPOINT_BYTES}")
    try:
        with path.open("rb") as file:
            return file.read(9)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _separate_decoder(path: Path) -> Tensors:
    """Read micro-sam's ``_decoder.pt``: a bare state dict, or one beside a model's."""
    found = read_state_dicts(path)
    if found.decoder:
        return found.decoder
    decoder = {n: v for n, v in found.model.items() if not n.startswith(ENCODER_OF_DECODER)}
    if any(name.startswith(ENCODER_PREFIX) for name in decoder):
        raise FormatError(
            f"{path}: holds a SAM and no AIS decoder; --decoder takes a file with a decoder"
        )
    return decoder


def _state_dicts(value: object, path: Path) -> dict[str, dict[str, StoredTensor]]:
    """Find the state dicts in what a PyTorch file holds."""
    if not isinstance(value, dict):
        raise _refused(value, path)
    if not value:
        raise FormatError(f"{path}: an empty state dict")
    if MODEL_STATE in value:
        found = {
            key: _tensors(value[key], path, where=f"{key}: ")
            for key in (MODEL_STATE, DECODER_STATE)
            if value.get(key)
        }
        if MODEL_STATE in found:
            return found
        raise FormatError(f"{path}: {MODEL_STATE}: an empty state dict")
    wrapped = [key for key in WRAPPERS if isinstance(value.get(key), dict)]
    if len(wrapped) == 1:
        _tell_unread(value, wrapped, path)
        return {MODEL_STATE: _tensors(value[wrapped[0]], path, where=f"{wrapped[0]}: ")}
    nested = [key for key, item in value.items() if isinstance(item, dict)]
    if nested:
        keys = ", ".join(shown(key, limit=40) for key in list(value)[:8])
        raise FormatError(
            f"{path}: expected a flat dict of tensors, found a dict with the keys {keys}. A state "
            f"dict may be under one of {', '.join(map(repr, (MODEL_STATE, *WRAPPERS)))}. Save one "
            f"of the values, such as checkpoint[{shown(nested[0], limit=40)}], and convert that"
        )
    return {MODEL_STATE: _tensors(value, path, where="")}


def _tensors(value: object, path: Path, *, where: str) -> dict[str, StoredTensor]:
    if not isinstance(value, dict):
        raise _refused(value, path, where=where)
    if len(value) > MAX_TENSORS:
        raise FormatError(f"{path}: {where}{len(value)} tensors, allowed are {MAX_TENSORS}")
    for name, tensor in value.items():
        if isinstance(tensor, Placeholder):
            raise _refused(tensor, path, where=f"{where}{shown(name)}: ")
        if not isinstance(name, str) or not isinstance(tensor, StoredTensor):
            raise FormatError(
                f"{path}: {where}{shown(name)}: expected a tensor, found "
                f"{shown(type(tensor).__name__)}"
            )
    return value


def _refused(value: object, path: Path, *, where: str = "") -> FormatError:
    if isinstance(value, Placeholder):
        return FormatError(
            f"{path}: {where}needs {shown(value.name)}, which is neither a tensor nor a plain "
            "container; files that contain code are not loaded. Save or ask for the weights alone, "
            "as a state dict"
        )
    return FormatError(f"{path}: {where}expected a state dict, found {shown(type(value).__name__)}")


def _tell_unread(value: Mapping[Any, Any], read: Collection[str], path: Path) -> None:
    unread = [shown(key, limit=40) for key in value if key not in read]
    if unread:
        logger.info("%s: read %s, not %s", path, ", ".join(read), ", ".join(unread[:8]))


def _without(prefix: str, tensors: Mapping[str, Any]) -> Mapping[str, Any]:
    if not all(name.startswith(prefix) for name in tensors):
        return tensors
    return {name.removeprefix(prefix): value for name, value in tensors.items()}
