"""Reading of other tools' checkpoints, without running any code in them.

In: a PyTorch file, a safetensors file, the index of several, or a Hugging Face folder. Out: tensors
by the original SAM names. The content decides which kind a file is, not its name. Needs neither
torch nor the tool that wrote the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.families.layer_shapes import BATCH_NORM_COUNTER
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX, ENCODER_PREFIX
from samzoo.runtime.formats.tensor_files import BFLOAT16, DTYPES, TensorFile, check_finite

from .file_kinds import (
    START_BYTES,
    check_safetensors_size,
    described_folder,
    missing_file,
    refuse_other_file,
    refuse_other_folder,
)
from .huggingface import WEIGHTS_FILES, FolderNumbers, is_folder, read_folder
from .huggingface_names import from_huggingface, is_huggingface
from .known import described_class, refuse_other_networks
from .pickle_machine import Placeholder
from .shards import INDEX_FILES, Shards, is_index, read_index, refuse_lone_shard
from .state_dicts import (
    DECODER_STATE,
    MODEL_STATE,
    Group,
    StateDicts,
    check_count,
    choose,
    groups_of,
)
from .stored_tensors import StoredTensor, load_tensors
from .torch_file import STREAM_START, ZIP_START, read_torch_file

MAX_CHECKPOINT_BYTES = 12 * 2**30
"""Largest file. A ViT-H SAM in float32 with its optimizer's copies takes 7.7 GB (own choice)."""

FLOATS = ("float16", "bfloat16", "float32", "float64")

ENCODER_OF_DECODER = "encoder."
"""Where torch-em's UNETR holds SAM's image encoder; micro-sam leaves it out when it saves."""

Load = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Reads the values of tensors, given by name as a ``Group`` holds them."""


@dataclass(frozen=True)
class InFile:
    """A tensor in a file that is read by names: its file, and what the file knows it by."""

    file: Path
    tensor: Any


@dataclass(frozen=True)
class Checkpoint:
    """Another tool's checkpoint, in memory.

    Attributes:
        file: The file with the weights.
        weights: float32 arrays by the original SAM names (BatchNorm's counters int64), all finite;
            those of the AIS decoder under ``ais_decoder.``.
        folder: Further settings of a Hugging Face folder; None for a file.
        shards: The files with the weights, if ``file`` is the index of several.
        is_huggingface: The file had Hugging Face's names.
    """

    file: Path
    weights: Tensors
    folder: FolderNumbers | None
    shards: tuple[Path, ...] = ()
    is_huggingface: bool = False


def read_checkpoint(
    path: Path, *, decoder: Path | None = None, key: str | None = None
) -> Checkpoint:
    """Read a checkpoint.

    Args:
        path: A PyTorch or safetensors file, the index of several, or a Hugging Face folder of a
            ``SamModel``.
        decoder: The file with micro-sam's AIS decoder, if it is a separate file.
        key: Where the SAM is, if the file holds several; see ``read_state_dicts``.

    Returns:
        The checkpoint's weights, with what a Hugging Face folder says about them.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, is damaged or too large, or holds anything other
            than a SAM's tensors.
        InputError: The file has nothing under the key.
        StorageError: The file cannot be read.
    """
    file, folder = path, None
    if path.is_dir():
        file, folder = read_folder(path) if is_folder(path) else (_in_folder(path), None)
    found = read_state_dicts(file, key=key)
    ais: Mapping[str, Any] = found.decoder
    if decoder is not None:
        if ais:
            raise FormatError(f"{path}: holds an AIS decoder already; omit --decoder {decoder}")
        ais = _separate_decoder(decoder)
    named = {**found.model, **{f"{AIS_DECODER_PREFIX}{name}": value for name, value in ais.items()}}
    weights = as_weights(named, where=str(file))
    parts = read_index(file, max_bytes=MAX_CHECKPOINT_BYTES).files if is_index(file) else ()
    return Checkpoint(file, weights, folder, parts, found.is_huggingface)


def read_state_dicts(
    path: Path, *, key: str | None = None, decoder_file: bool = False
) -> StateDicts:
    """Read a file's tensors, of any dtype, by the names that SAM and torch-em give them.

    The state dict may be bare, or in any containers and behind any prefixes; ``state_dicts.py``
    finds it. micro-sam's ``decoder_state`` beside it is read, too; other contents of the file (an
    optimizer, settings) are not. Hugging Face's names are replaced.

    Args:
        path: A PyTorch or safetensors file, or the index of several.
        key: Where the SAM is, if the file holds several: the keys and prefixes before its names,
            joined by dots, such as ``model_ema`` or ``state_dict.teacher``.
        decoder_file: The file is micro-sam's AIS decoder.

    Returns:
        The tensors, bfloat16 as float32.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, is damaged or too large, has no state dict or
            several, or holds a network other than SAM.
        InputError: The file has nothing under the key.
        StorageError: The file cannot be read.
    """
    groups, load = _opened(path)
    found = choose(groups, path, key=key, any_network=decoder_file)
    states = {
        MODEL_STATE: _tensors(found.model, path, where=_described(groups, found)),
        DECODER_STATE: _tensors(found.decoder, path, where=f"{DECODER_STATE}: "),
    }
    if not decoder_file:
        refuse_other_networks(states[MODEL_STATE], where=str(path))
    # In one call: both together may not claim more bytes than the file holds.
    read = load({f"{kind}/{n}": t for kind, state in states.items() for n, t in state.items()})
    model: Mapping[str, Any] = {n: read[f"{MODEL_STATE}/{n}"] for n in states[MODEL_STATE]}
    decoder = {n: read[f"{DECODER_STATE}/{n}"] for n in states[DECODER_STATE]}
    huggingface = is_huggingface(model)
    if huggingface:
        model = from_huggingface(model, where=str(path))
    decoder = {n: v for n, v in decoder.items() if not n.startswith(ENCODER_OF_DECODER)}
    return StateDicts(dict(model), decoder, huggingface)


def read_flat(path: Path) -> Tensors:
    """Read a file that holds tensors by name and nothing else, with the names as they are.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is no PyTorch or safetensors file, is damaged, or holds other things.
        StorageError: The file cannot be read.
    """
    groups, load = _opened(path)
    if len(groups) != 1 or groups[0].path:
        raise FormatError(f"{path}: expected tensors by name alone, found containers of them")
    return dict(load(_tensors(groups[0].items, path, where="")))


def _opened(path: Path) -> tuple[list[Group], Load]:
    """Open a file by its content: what is in it, and how its values are read."""
    start, size = _start_of(path)
    if is_index(path):
        return _opened_shards(read_index(path, max_bytes=MAX_CHECKPOINT_BYTES))
    refuse_lone_shard(path)
    return _opened_one(path, start, size)


def _opened_one(path: Path, start: bytes, size: int) -> tuple[list[Group], Load]:
    is_torch = start.startswith((ZIP_START, STREAM_START))
    if start[8:9] == b"{" or (path.suffix == ".safetensors" and not is_torch):
        if start[8:9] != b"{":
            refuse_other_file(path, start, size)
        check_safetensors_size(path, size)
        file = TensorFile(path, dtypes=(*DTYPES, BFLOAT16))
        items = {name: InFile(path, name) for name in file}
        return [Group("", items)], lambda chosen: {n: file[t.tensor] for n, t in chosen.items()}
    if not is_torch:
        refuse_other_file(path, start, size)
        raise FormatError(
            f"{path}: not a checkpoint, it starts with {shown(start[:9])}; "
            "expected a PyTorch (.pth, .pt) or safetensors file"
        )
    value = read_torch_file(path)
    groups = groups_of(value, path)
    if not groups or (isinstance(value, dict) and not _is_full(value.get(MODEL_STATE, value))):
        raise _without_tensors(value, path)
    return groups, lambda stored: load_tensors(stored, path)


def _opened_shards(shards: Shards) -> tuple[list[Group], Load]:
    """Open the files of an index; each of their tensors must stand in it."""
    opened = {file: _opened_one(file, *_start_of(file)) for file in shards.files}
    items: dict[Any, Any] = {}
    for file, (groups, _) in opened.items():
        for name, value in groups[0].items.items():
            if len(groups) > 1 or shards.places.get(name) != file:
                raise FormatError(
                    f"{file}: tensor {shown(name)} is not in {shards.index.name}; fetch all files "
                    "of the checkpoint again"
                )
            items[name] = InFile(file, value)
    lacking = sorted(set(shards.places) - set(items))
    if lacking:
        raise FormatError(
            f"{shards.places[lacking[0]]}: lacks the tensor {shown(lacking[0])}, which "
            f"{shards.index.name} says it has; fetch the file again"
        )

    def load(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        read: dict[str, Any] = {}
        for file, (_, load_one) in opened.items():
            read |= load_one({n: each.tensor for n, each in chosen.items() if each.file == file})
        return read

    return [Group("", items)], load


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


def _start_of(path: Path) -> tuple[bytes, int]:
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; pass the checkpoint file in it")
    if not path.is_file():
        raise NotFoundError(f"{path}: {missing_file(path)}")
    size = path.stat().st_size
    if size == 0:
        raise FormatError(f"{path}: is empty: found 0 bytes; fetch the file again")
    if size > MAX_CHECKPOINT_BYTES:
        raise FormatError(f"{path}: found {size} bytes, allowed are 1 to {MAX_CHECKPOINT_BYTES}")
    try:
        with path.open("rb") as file:
            return file.read(START_BYTES), size
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _in_folder(folder: Path) -> Path:
    """Find the weights in a folder without a config, such as accelerate's ``save_state`` writes."""
    refuse_other_folder(folder)
    found = [folder / name for name in (*WEIGHTS_FILES, *INDEX_FILES) if (folder / name).is_file()]
    if len(found) != 1:
        raise FormatError(f"{folder}: {described_folder(folder)}")
    return found[0]


def _separate_decoder(path: Path) -> Tensors:
    """Read micro-sam's ``_decoder.pt``: a bare state dict, or one beside a model's."""
    found = read_state_dicts(path, decoder_file=True)
    if found.decoder:
        return dict(found.decoder)
    decoder = {n: v for n, v in found.model.items() if not n.startswith(ENCODER_OF_DECODER)}
    if any(name.startswith(ENCODER_PREFIX) for name in decoder):
        raise FormatError(
            f"{path}: holds a SAM and no AIS decoder; --decoder takes a file with a decoder"
        )
    return decoder


def _is_full(value: object) -> bool:
    return isinstance(value, dict) and bool(value)


def _without_tensors(value: object, path: Path) -> FormatError:
    """Say what a file without a single tensor holds."""
    if isinstance(value, dict) and value.get(MODEL_STATE, value) is not value:
        if not isinstance(value[MODEL_STATE], dict):
            return _refused(value[MODEL_STATE], path, where=f"{MODEL_STATE}: ")
        return FormatError(f"{path}: {MODEL_STATE}: an empty state dict")
    if not isinstance(value, dict):
        return _refused(value, path)
    if not value:
        return FormatError(f"{path}: an empty state dict")
    keys = ", ".join(shown(key, limit=40) for key in list(value)[:8])
    return FormatError(f"{path}: holds no tensors, only the keys {keys}; expected a state dict")


def _described(groups: list[Group], found: StateDicts) -> str:
    """Say for messages where a state dict was found, such as ``model_state: ``."""
    names = set(found.model)
    where = next((g.path for g in groups if names and names <= set(g.items)), "")
    return f"{where.strip('.')}: " if where else ""


def _tensors(items: Mapping[Any, Any], path: Path, *, where: str) -> dict[str, Any]:
    check_count(items, path, where=where)
    for name, tensor in items.items():
        if isinstance(tensor, Placeholder):
            raise _refused(tensor, path, where=f"{where}{shown(name)}: ")
    for name, tensor in items.items():
        if not isinstance(name, str) and isinstance(tensor, (StoredTensor, InFile)):
            raise FormatError(
                f"{path}: {where}{shown(name)}: expected a name, found "
                f"{shown(type(name).__name__)}; tensors without names cannot be assigned to layers"
            )
        if not isinstance(name, str) or not isinstance(tensor, (StoredTensor, InFile)):
            raise FormatError(
                f"{path}: {where}{shown(name)}: expected a tensor, found "
                f"{shown(type(tensor).__name__)}"
            )
    return dict(items)


def _refused(value: object, path: Path, *, where: str = "") -> FormatError:
    if isinstance(value, Placeholder):
        kind = described_class(value.name)
        if value.name.startswith("torch._utils."):
            return FormatError(f"{path}: {where}holds {kind or shown(value.name)}")
        told = f"; it is {kind}" if kind else ""
        return FormatError(
            f"{path}: {where}needs {shown(value.name)}, which is neither a tensor nor a plain "
            "container; files that contain code are not loaded. Save or ask for the weights alone, "
            f"as a state dict{told}"
        )
    return FormatError(f"{path}: {where}expected a state dict, found {shown(type(value).__name__)}")
