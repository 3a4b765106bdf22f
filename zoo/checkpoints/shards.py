"""Weights in several files with an index, as Hugging Face stores large models.

In: ``model.safetensors.index.json`` or ``pytorch_model.bin.index.json``. Out: the files beside it,
and which of them holds which tensor.

Source: transformers 5.23.0, ``utils/hub.py``: ``weight_map`` gives each tensor's file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.budgets import MAX_TENSORS
from samzoo.runtime.errors import FormatError, NotFoundError, shown
from samzoo.runtime.formats.files import read_json

INDEX_ENDING = ".index.json"

INDEX_FILES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""The names that transformers gives its index."""

MAX_SHARDS = 64
"""Most files of one checkpoint. A ViT-H SAM takes 2.6 GB, in one file by default (own choice)."""

_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})(\.safetensors|\.bin)")


@dataclass(frozen=True)
class Shards:
    """The files of one checkpoint.

    Attributes:
        index: The index file.
        files: The files with the weights, sorted by name.
        places: For each tensor's name, the file that holds it.
    """

    index: Path
    files: tuple[Path, ...]
    places: Mapping[str, Path]


def is_index(path: Path) -> bool:
    """Whether a file's name says that it is such an index."""
    return path.name.endswith(INDEX_ENDING)


def read_index(path: Path, *, max_bytes: int) -> Shards:
    """Read an index, and check that its files are there.

    Args:
        path: The index file.
        max_bytes: Most bytes that all files together may have.

    Raises:
        FormatError: The index is damaged, names a file elsewhere, or the files are too many or too
            large.
        NotFoundError: A file that it names is missing.
    """
    places = read_json(path).get("weight_map")
    if not isinstance(places, Mapping) or not 0 < len(places) <= MAX_TENSORS:
        raise FormatError(
            f"{path}: weight_map: expected an object of 1 to {MAX_TENSORS} tensors and their files"
        )
    names = sorted({name for name in places.values() if isinstance(name, str)})
    for value in places.values():
        if not isinstance(value, str) or not re.fullmatch(r"[\w][\w.-]{0,199}", value):
            raise FormatError(
                f"{path}: weight_map: found the file {shown(value)}, allowed is the name of a file "
                "beside it"
            )
    if len(names) > MAX_SHARDS:
        raise FormatError(f"{path}: names {len(names)} files, allowed are {MAX_SHARDS}")
    files = {name: path.parent / name for name in names}
    missing = [name for name, file in files.items() if not file.is_file()]
    if missing:
        raise NotFoundError(
            f"{path}: {len(missing)} of its {len(names)} files are missing, first "
            f"{shown(missing[0])}; fetch all of them into {path.parent}"
        )
    size = sum(file.stat().st_size for file in files.values())
    if size > max_bytes:
        raise FormatError(f"{path}: its files have {size} bytes, allowed are {max_bytes}")
    return Shards(path, tuple(files.values()), {n: files[str(f)] for n, f in places.items()})


def refuse_lone_shard(path: Path) -> None:
    """Refuse one of several files.

    Raises:
        FormatError: The file's name says that it is a part; the message names the index.
    """
    found = _SHARD.fullmatch(path.name)
    if found is not None and int(found[2]) > 1:
        index = path.parent / f"{found[1]}{found[3]}{INDEX_ENDING}"
        what = f"pass {index}" if index.is_file() else f"fetch all, with {index.name}, and pass it"
        raise FormatError(f"{path}: is one of {int(found[2])} files of one checkpoint; {what}")
