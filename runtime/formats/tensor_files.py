"""Safetensors files, read and written in the memory of one tensor.

In: a path. Out: ``TensorFile``, a mapping that reads a tensor when it is asked for; or a file made
from such a mapping. Models larger than the memory can be folded this way.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from samzoo.runtime.budgets import MAX_TENSORS
from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown

from .arrays import Array
from .digest import RunningDigest
from .fields import parse_json
from .outputs import replacing

LFS_START = b"version https://git-lfs.github.com/spec/"
"""How the pointers start that git leaves instead of large files where git-lfs is not installed.
Source: git-lfs, its specification."""

_NUMPY = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16",
    "F16": "float16", "I32": "int32", "U32": "uint32", "F32": "float32", "F64": "float64",
    "I64": "int64", "U64": "uint64",
}  # fmt: skip
"""NumPy's dtypes by their names in safetensors; NumPy has no bfloat16. The order is that of the
serializer, which writes the widest first, so that every tensor is aligned."""

DTYPES = tuple(_NUMPY)

BFLOAT16 = "BF16"
"""Read only if the caller allows it. It becomes float32, of which it is the upper half."""


@dataclass(frozen=True)
class TensorInfo:
    """What a tensor is, without its values.

    Attributes:
        dtype: NumPy's name for the dtype that reading returns.
        shape: The tensor's shape.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Size of the values in bytes."""
        return prod(self.shape) * np.dtype(self.dtype).itemsize


class TensorFile(Mapping[str, Array]):
    """A safetensors file whose tensors are read when they are asked for.

    Opening reads and checks the header only. Each tensor is a copy, and its values are finite.
    Reading is plain file access: pages of a memory map would count as the process's memory.

    Args:
        path: A ``.safetensors`` file.
        dtypes: Names of the allowed dtypes, as safetensors writes them.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a safetensors file, too many tensors, or another dtype.
    """

    def __init__(self, path: Path, *, dtypes: Collection[str] = DTYPES) -> None:
        self.path = path
        self.metadata, names = _checked_header(path)
        if len(names) > MAX_TENSORS:
            raise FormatError(f"{path}: {len(names)} tensors, allowed are {MAX_TENSORS}")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = parse_json(file.read(length), where=str(path), kind="safetensors")
        self.info: dict[str, TensorInfo] = {}
        self._where: dict[str, tuple[str, int]] = {}
        for name in sorted(names):
            dtype, shape = header[name]["dtype"], tuple(header[name]["shape"])
            if dtype not in dtypes:
                raise FormatError(
                    f"{path}: tensor {shown(name)} is stored as {dtype}, "
                    f"allowed are {', '.join(dtypes)}"
                )
            self.info[name] = TensorInfo(_NUMPY.get(dtype, "float32"), shape)
            self._where[name] = (dtype, 8 + length + header[name]["data_offsets"][0])

    def __getitem__(self, name: str) -> Array:
        """Read one tensor.

        Raises:
            KeyError: No tensor has that name.
            FormatError: A value is NaN or infinite, or the file has become shorter.
            StorageError: The file cannot be read.
        """
        dtype, offset = self._where[name]
        stored = np.dtype("<u2" if dtype == BFLOAT16 else _NUMPY[dtype]).newbyteorder("<")
        value: Array = np.empty(self.info[name].shape, stored)
        try:
            with self.path.open("rb") as file:
                file.seek(offset)
                # A flat view of bytes, because readinto takes neither empty nor scalar arrays.
                done = file.readinto(value.reshape(-1).view(np.uint8)) if value.nbytes else 0  # type: ignore[arg-type]
        except OSError as error:
            raise StorageError(f"{self.path}: cannot be read ({error})") from error
        if done != value.nbytes:
            raise FormatError(f"{self.path}: tensor {shown(name)} is cut off; fetch the file again")
        if dtype == BFLOAT16:
            value = (value.astype(np.uint32) << 16).view(np.float32)
        value = value.astype(value.dtype.newbyteorder("="), copy=False)
        check_finite({name: value}, where=str(self.path))
        return value

    def __iter__(self) -> Iterator[str]:
        """Names in sorted order."""
        return iter(self.info)

    def __len__(self) -> int:
        """Number of tensors."""
        return len(self.info)


def _checked_header(path: Path) -> tuple[dict[str, str], list[str]]:
    """Let safetensors check that header, shapes and offsets fit the file; it reads no values."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    refuse_pointer(path)
    try:
        with safe_open(str(path), framework="numpy") as file:
            return dict(file.metadata() or {}), list(file.keys())
    except SafetensorError as error:
        raise FormatError(f"{path}: not a usable safetensors file ({error})") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error


def refuse_pointer(path: Path) -> None:
    """Refuse a file that only points to what git-lfs has not fetched.

    Raises:
        FormatError: The file is such a pointer.
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(len(LFS_START))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error})") from error
    if start == LFS_START:
        raise FormatError(
            f"{path}: is a git-lfs pointer and not the file itself; run git lfs pull in its "
            "repository, or download the file"
        )


def check_names(
    tensors: Collection[str], expected: Collection[str], *, where: str, ending: str
) -> None:
    """Refuse missing and unknown tensors.

    Args:
        tensors: The names found, or a mapping from names.
        expected: The names that must be there, or a mapping from names.
        where: The file, for messages.
        ending: End of the message, after ``(1 missing, 0 unknown tensors``.

    Raises:
        FormatError: A tensor is missing or unknown; the message names the first and counts all.
    """
    missing = sorted(set(expected) - set(tensors))
    unknown = sorted(set(tensors) - set(expected))
    if missing or unknown:
        problem = f"lacks {shown(missing[0])}" if missing else f"has unknown {shown(unknown[0])}"
        raise FormatError(
            f"{where}: {problem} ({len(missing)} missing, {len(unknown)} unknown tensors{ending}"
        )


def check_finite(tensors: Mapping[str, Any], *, where: str) -> None:
    """Refuse weights that hold NaN or infinity.

    Raises:
        FormatError: A tensor does; the message names the first.
    """
    for name, value in tensors.items():
        if np.issubdtype(value.dtype, np.floating) and not np.isfinite(value).all():
            raise FormatError(
                f"{where}: tensor {shown(name)} holds NaN or infinite values; "
                "the file is damaged or its training diverged"
            )


def stream_tensors(
    path: Path,
    tensors: Mapping[str, Array],
    info: Mapping[str, TensorInfo],
    metadata: Mapping[str, str],
) -> str:
    """Write a safetensors file tensor by tensor, atomically.

    Args:
        path: The file.
        tensors: Arrays by name. The function holds one at a time, in the order of the names.
        info: Dtype and shape of each tensor; the header needs them before the values are read.
        metadata: Strings for the header.

    Returns:
        The weights digest of what was written. The bytes are those of ``write_tensors``.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
        FormatError: Reading a tensor failed; then no file appears.
    """
    header, offsets = _header(info, metadata)
    digest = RunningDigest()
    with replacing(path) as temporary, temporary.open("wb") as file:
        file.write(header)
        for name in sorted(info):
            value = np.asarray(tensors[name], order="C")
            if TensorInfo(value.dtype.name, value.shape) != info[name]:
                raise AssertionError(f"{name}: {value.dtype} {value.shape} is not {info[name]}")
            digest.update(name, value)
            file.seek(len(header) + offsets[name])
            _write_values(file, value)
    return digest.result()


def _header(
    info: Mapping[str, TensorInfo], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, int]]:
    """Lay out a file; returns its first bytes, and where each tensor's values begin after them."""
    kinds = {numpy: name for name, numpy in _NUMPY.items()}
    order = sorted(info, key=lambda name: (-DTYPES.index(kinds[info[name].dtype]), name))
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offsets, end = {}, 0
    for name in order:
        offsets[name], end = end, end + info[name].nbytes
        entries[name] = {
            "dtype": kinds[info[name].dtype],
            "shape": list(info[name].shape),
            "data_offsets": [offsets[name], end],
        }
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, offsets


def _write_values(file: BinaryIO, value: Array) -> None:
    little = value.astype(value.dtype.newbyteorder("<"), copy=False)
    file.write(little.reshape(-1).view(np.uint8).data)
