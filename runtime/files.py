"""Reading and writing files safely: JSON, safetensors, whole folders.

In: paths and values. Out: files that are either complete or not there at all. Called by every
step that writes an artefact (convert, train, merge, export, embed, segment).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import Tensors
from .errors import FormatError, NotFoundError, OutputExistsError, StorageError, shown

MAX_JSON_BYTES = 16 * 2**20
"""Configs and manifests are a few kB; anything above this is not one (own choice)."""

MARKER_FILES = ("config.json", "adapter_config.json", "samzoo.json")
"""A folder with one of these is an artefact, which ``--force`` may replace."""

MAX_TENSORS = 20_000
"""A ViT-H SAM has 594 tensors; safetensors itself would accept hundreds of thousands."""


DTYPES = ("F16", "F32", "F64", "I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")
"""NumPy's own dtypes by their names in safetensors; not bfloat16."""


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is too large, not JSON, or not an object.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise FormatError(f"{path}: {path.stat().st_size} bytes is too large for a config file")
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(value, dict):
        raise FormatError(f"{path}: expected a JSON object, found {shown(type(value).__name__)}")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number in JSON")


def read_tensors(path: Path) -> Tensors:
    """Read a safetensors file into numpy arrays and check every value is finite.

    Args:
        path: A ``.safetensors`` file.

    Returns:
        Arrays by name, in the file's dtypes.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a safetensors file, too many tensors, or a value is NaN or infinite.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    tensors: Tensors = {}
    try:
        with safe_open(str(path), framework="numpy") as file:
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise FormatError(f"{path}: {len(names)} tensors, allowed are {MAX_TENSORS}")
            for name in names:
                dtype = file.get_slice(name).get_dtype()
                if dtype not in DTYPES:  # whether NumPy knows others depends on what is imported
                    raise FormatError(
                        f"{path}: tensor {shown(name)} is stored as {dtype}, "
                        f"allowed are {', '.join(DTYPES)}"
                    )
                tensors[name] = file.get_tensor(name)
    except (SafetensorError, ValueError, TypeError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: not a usable safetensors file ({error})") from error
    check_finite(tensors, where=str(path))
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """Read the string metadata of a safetensors file.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is not a safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {})
    except SafetensorError as error:
        raise FormatError(f"{path}: not a usable safetensors file ({error})") from error


def check_finite(tensors: Mapping[str, Any], *, where: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        FormatError: Names the first tensor that does.
    """
    for name, value in tensors.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise FormatError(
                f"{where}: tensor {shown(name)} holds NaN or infinite values; "
                "the file is damaged or its training diverged"
            )


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes as 64 hex digits.

    Raises:
        NotFoundError: There is no such file.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file so that it is whole or not there; an older one stays until then.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write an object as indented JSON, atomically.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def write_tensors(path: Path, tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> None:
    """Write arrays as safetensors, atomically, sorted by name.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    from safetensors.numpy import save

    ordered = {name: np.asarray(tensors[name], order="C") for name in sorted(tensors)}
    write_bytes(path, save(ordered, metadata=dict(metadata)))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; move it to ``path`` when the block succeeds.

    The suffix stays the same, since image writers choose the format by it.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # the folder itself may be what is wrong
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to sync
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_output(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse to overwrite, before any work is done.

    Args:
        path: What will be written.
        force: Allow to replace an existing file or folder.
        inputs: What is read for it; never replaced, nor a folder around it.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or it is one of the inputs.
    """
    for given in inputs:
        original = given.resolve()
        if path.resolve() in (original, *original.parents):
            raise OutputExistsError(
                f"{path}: writing it would replace the input {given}; choose another output"
            )
    if path.exists() and not force:
        raise OutputExistsError(f"{path}: exists already; pass --force to replace it")


def check_output_folder(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse to replace a folder, before any work is done.

    Args:
        path: The folder that will be written.
        force: Allow to replace an artefact of samzoo, never anything else.
        inputs: As in ``check_output``.

    Raises:
        OutputExistsError: As in ``check_output``, or ``path`` is not an artefact.
    """
    check_output(path, force=force, inputs=inputs)
    if path.exists() and not any((path / name).is_file() for name in MARKER_FILES):
        raise OutputExistsError(
            f"{path}: exists and is not a folder that samzoo wrote, so --force does not replace "
            "it; choose another output"
        )


def write_folder(path: Path, fill: Callable[[Path], None], *, force: bool) -> None:
    """Fill a new folder beside ``path`` and move it there when it is complete.

    Args:
        path: The folder to make.
        fill: Writes all files into the folder it is given.
        force: Replace an existing artefact; it stays whole until the new one is.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or it is not one of ours.
        StorageError: The disk is full or the folder cannot be written.
    """
    check_output_folder(path, force=force)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        fill(temporary)
        temporary.chmod(0o755)
        _swap_in(temporary, path)
    except OSError as error:
        if isinstance(error, (StorageError, NotFoundError)):
            raise
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(folder: Path, path: Path) -> None:
    """Move a complete folder to ``path``; what was there comes back if that fails."""
    if not path.exists():
        os.replace(folder, path)
        return
    previous = folder.with_name(folder.name + ".old")
    os.replace(path, previous)
    try:
        os.replace(folder, path)
    except BaseException:
        os.replace(previous, path)
        raise
    shutil.rmtree(previous, ignore_errors=True)
