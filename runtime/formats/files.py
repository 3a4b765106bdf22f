"""Files read and written as a whole: JSON, TOML and safetensors.

In: paths and values. Out: checked values; files that are complete or not there at all. See
``tensor_files.py`` for files larger than the memory, ``outputs.py`` for whole folders.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.budgets import MAX_JSON_BYTES, MAX_TOML_BYTES
from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown

from .arrays import Tensors
from .fields import check_values, parse_json
from .outputs import write_bytes
from .tensor_files import TensorFile


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file whose top level is an object.

    Args:
        path: The file.

    Returns:
        The object.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is too large, not JSON, or not an object.
        StorageError: It cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    if path.stat().st_size > MAX_JSON_BYTES:
        raise FormatError(f"{path}: {path.stat().st_size} bytes is too large for a config file")
    try:
        text = path.read_bytes()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    value = parse_json(text, where=str(path))
    if not isinstance(value, dict):
        raise FormatError(f"{path}: expected a JSON object, found {shown(type(value).__name__)}")
    return value


def read_toml(path: Path, *, what: str) -> dict[str, Any]:
    """Read a TOML file that a person wrote.

    Args:
        path: The file.
        what: What it is, for the message about one that is too large.

    Returns:
        Its values by key.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is too large, not TOML, or holds a number that nothing takes.
        StorageError: It cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    size = path.stat().st_size
    if size > MAX_TOML_BYTES:
        raise FormatError(f"{path}: {size} bytes is too large for {what}")
    try:
        value = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    except RecursionError as error:
        raise FormatError(f"{path}: not a TOML file (it is nested too deeply)") from error
    except ValueError as error:  # tomllib's and Unicode's errors are ValueErrors too
        raise FormatError(f"{path}: not a TOML file ({error})") from error
    check_values(value, where=str(path))
    return value


def read_tensors(path: Path) -> Tensors:
    """Read a safetensors file into numpy arrays and check that every value is finite.

    Args:
        path: A ``.safetensors`` file.

    Returns:
        Arrays by name, in the file's dtypes.

    Raises:
        NotFoundError: There is no such file.
        FormatError: Not a safetensors file, too many tensors, or a value is NaN or infinite.
        StorageError: The file cannot be read.
    """
    return dict(TensorFile(path))


def read_metadata(path: Path) -> dict[str, str]:
    """Read the string metadata of a safetensors file.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is not a safetensors file.
    """
    return TensorFile(path).metadata


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
    # For no tensors and an empty dict, safetensors' serializer writes a header that is not JSON.
    write_bytes(path, save(ordered, metadata=dict(metadata) or None))


PADDING = b"\xef\xbb\xbf \t\r\n"
"""Bytes that may stand before a text: UTF-8's mark of the byte order, and white space."""

_HTML = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<!--")


def is_web_page(start: bytes) -> bool:
    r"""Tell whether a file's first bytes are those of a web page, such as an error or a login.

    >>> is_web_page(b"\n<!DOCTYPE html>"), is_web_page(b"<OME>")
    (True, False)
    """
    return start.lstrip(PADDING).lower().startswith(_HTML)
