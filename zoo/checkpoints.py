"""Reading a checkpoint from elsewhere without running anything that is in it.

In: a ``.pth``, ``.pt`` or ``.safetensors`` file. Out: finite float32 arrays by name. Called by
``convert.py``. The kind is told by the content, not by the name; torch is needed for PyTorch files
only.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.errors import (
    FormatError,
    MissingDependencyError,
    NotFoundError,
    StorageError,
    require,
    shown,
)
from samzoo.runtime.files import MAX_TENSORS, check_finite

MIN_TORCH = (2, 10)
"""Earlier versions run code (CVE-2025-32434) or corrupt memory (CVE-2026-24747) while reading a
hostile file even with ``weights_only=True``."""

MAX_CHECKPOINT_BYTES = 8 * 2**30
"""Three times a ViT-H SAM in float32 (own choice)."""

FLOATS = ("float16", "bfloat16", "float32", "float64")
COUNTER = "num_batches_tracked"
"""BatchNorm's counter, the one integer in a SAM."""

WRAPPERS = ("model", "state_dict")
"""Keys under which checkpoints commonly hold their state dict."""

_SAFETENSORS_FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64"}


def read_checkpoint(path: Path) -> Tensors:
    """Read a checkpoint's tensors.

    Args:
        path: A PyTorch file that holds a state dict, bare or as the only entry of a dict under
            ``model`` or ``state_dict``; or a safetensors file.

    Returns:
        Arrays by name: all floating-point tensors as float32 whatever their width in the file,
        BatchNorm's ``num_batches_tracked`` as int64. All finite.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a checkpoint, damaged, too large, holds anything but such tensors, or
            would need code from the file to be run.
        MissingDependencyError: A PyTorch file, and torch is absent or older than 2.10.
        StorageError: The file cannot be read.
    """
    if path.is_dir():
        raise FormatError(f"{path}: is a folder; pass the checkpoint file in it")
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    if not 0 < size <= MAX_CHECKPOINT_BYTES:
        raise FormatError(f"{path}: found {size} bytes, allowed are 1 to {MAX_CHECKPOINT_BYTES}")
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if path.suffix == ".safetensors" or start[8:] == b"{":
        tensors = _read_safetensors(path)
    elif (archive := start[:4] == b"PK\x03\x04") or start[:1] == b"\x80":
        tensors = _from_torch(_state_dict(_load(path, archive=archive), path), path)
    else:
        raise FormatError(
            f"{path}: not a checkpoint, it starts with {shown(start)}; "
            "expected a PyTorch (.pth, .pt) or safetensors file"
        )
    check_finite(tensors, where=str(path))
    return tensors


def _load(path: Path, *, archive: bool) -> object:
    """Unpickle with torch's restricted unpickler; there is no other way in."""
    torch = require("torch", extra="train")
    version = re.match(r"(\d+)\.(\d+)", str(torch.__version__))
    if version is None or (int(version[1]), int(version[2])) < MIN_TORCH:
        raise MissingDependencyError(
            f"reading {path.name} needs torch {MIN_TORCH[0]}.{MIN_TORCH[1]} or newer, found "
            f"{torch.__version__}: older ones are not safe on files from strangers; "
            "run: pip install --upgrade torch"
        )
    if archive:
        _check_archive(path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a hostile pickle can end in any exception
        name = re.search(r"GLOBAL (\S+)", str(error))
        if name is not None:
            raise FormatError(
                f"{path}: needs {shown(name[1])}, which is neither a tensor nor a plain container; "
                "files that carry code are not loaded. Ask for the weights alone, as a state dict"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(
            f"{path}: not a usable PyTorch checkpoint ({shown(reason)}); expected a state dict of "
            "tensors, files that carry code are not loaded"
        ) from error


def _check_archive(path: Path) -> None:
    """Refuse archives that grow when they are read; torch stores its entries uncompressed."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise FormatError(f"{path}: a damaged archive ({error}); fetch the file again") from error
    total = sum(entry.file_size for entry in entries)
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed or total > path.stat().st_size:
        raise FormatError(
            f"{path}: found entries of {total} bytes, packed or overlapping, in "
            f"{path.stat().st_size} bytes; allowed are uncompressed entries, as torch.save writes"
        )


def _state_dict(value: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FormatError(f"{path}: expected a state dict, found {shown(type(value).__name__)}")
    state: Mapping[Any, Any] = value
    for key in WRAPPERS:
        if len(state) == 1 and isinstance(state.get(key), Mapping):
            state = state[key]
    if not state:
        raise FormatError(f"{path}: an empty state dict")
    if len(state) > MAX_TENSORS:
        raise FormatError(f"{path}: {len(state)} tensors, allowed are {MAX_TENSORS}")
    nested = [key for key, item in state.items() if isinstance(item, Mapping)]
    if nested:
        keys = ", ".join(shown(key, limit=40) for key in list(state)[:8])
        hint = f"state dicts under {', '.join(repr(key) for key in WRAPPERS)} alone are unwrapped"
        if "model_state" in state:
            hint = "checkpoints of the uSAM trainer (torch-em) are not read yet"
        raise FormatError(
            f"{path}: expected a flat dict of tensors, found a dict with the keys {keys}; {hint}. "
            f"Save one of them, such as checkpoint[{shown(nested[0], limit=40)}], and convert that"
        )
    return state


def _from_torch(state: Mapping[Any, Any], path: Path) -> Tensors:
    torch = require("torch", extra="train")
    # Tensors are views: a few bytes can claim to be billions of values (stride 0).
    claimed = 0
    for name, value in state.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise FormatError(
                f"{path}: {shown(name)}: expected a tensor, found {shown(type(value).__name__)}"
            )
        dtype = str(value.dtype).removeprefix("torch.")
        if value.layout != torch.strided or value.device.type != "cpu":
            raise FormatError(f"{path}: tensor {shown(name)}: expected a dense tensor with values")
        _check_dtype(name, dtype, path)
        claimed += value.numel() * value.element_size()
    if claimed > path.stat().st_size:
        raise FormatError(
            f"{path}: its tensors claim {claimed} bytes, the file holds {path.stat().st_size}"
        )
    tensors: Tensors = {}
    for name, value in state.items():
        target = torch.float32 if value.is_floating_point() else torch.int64
        plain = value.detach().resolve_neg().to(target)
        tensors[name] = plain.contiguous().numpy()
    return tensors


def _read_safetensors(path: Path) -> Tensors:
    from safetensors import SafetensorError, safe_open

    tensors: Tensors = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise FormatError(f"{path}: {len(names)} tensors, allowed are {MAX_TENSORS}")
            for name in names:
                found = file.get_slice(name).get_dtype()
                dtype = _SAFETENSORS_FLOATS.get(found, "int64" if found == "I64" else found)
                _check_dtype(name, dtype, path)
                value = _bfloat16(path, name) if found == "BF16" else file.get_tensor(name)
                tensors[name] = value if found == "I64" else _float32(value)
    except FormatError:
        raise
    except (SafetensorError, ValueError, TypeError) as error:
        raise FormatError(f"{path}: not a usable safetensors file ({error})") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    return tensors


def _float32(value: Any) -> Any:
    with np.errstate(over="ignore"):  # becomes infinite, which check_finite reports by name
        return value.astype(np.float32, copy=False)


def _bfloat16(path: Path, name: str) -> Any:
    """Read a bfloat16 tensor, which numpy does not know: the upper half of a float32.

    Called after safetensors has checked the header.
    """
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(length))[name]
        begin, end = entry["data_offsets"]
        file.seek(8 + length + begin)
        halves = np.frombuffer(file.read(end - begin), "<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(entry["shape"])


def _check_dtype(name: str, dtype: str, path: Path) -> None:
    counter = dtype == "int64" and name.rsplit(".", 1)[-1] == COUNTER
    if dtype not in FLOATS and not counter:
        raise FormatError(
            f"{path}: tensor {shown(name)}: found {dtype}, allowed are {', '.join(FLOATS)} "
            f"(and int64 for {COUNTER})"
        )
