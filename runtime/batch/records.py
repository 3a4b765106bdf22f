"""What a folder of results knows of each image: by which settings, from which pixels it was made.

In: a folder of results. Out: records, one small file each, written last, so that a record that
says ``done`` vouches for whole files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from samzoo.runtime.errors import NotFoundError, SamzooError, StorageError
from samzoo.runtime.formats.fields import from_json
from samzoo.runtime.formats.files import read_json, sha256_of, write_json
from samzoo.runtime.formats.outputs import is_temporary

RECORDS = ".samzoo"
"""Folder of the records in a folder of results; hidden, because people need only what is beside."""

VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Record:
    """One image's state.

    Attributes:
        state: ``begun`` before the image is read, ``done`` when all its files are written.
        image: How tables name the image.
        path: Absolute path of the image.
        content: sha256 of the image's bytes.
        settings: What the labels depend on: the model's weights and the options.
        labels: sha256 of the label file as samzoo wrote it.
        objects: Number of objects.
        size: (height, width), for stacks also the axes before.
        seconds: How long it took.
        notes: Sentences for the user about the image.
        scale: The scale that was used, as ``ObjectScale.facts``.
        version: Version of this file.
    """

    state: Literal["begun", "done"]
    image: str
    path: str
    content: str
    settings: dict[str, Any]
    labels: str = ""
    objects: int = 0
    size: tuple[int, ...] = ()
    seconds: float = 0.0
    notes: tuple[str, ...] = ()
    scale: dict[str, Any] = field(default_factory=dict)
    version: int = VERSION


@dataclass(frozen=True)
class Records:
    """The records of a folder of results.

    Attributes:
        folder: The folder of results.
    """

    folder: Path

    @property
    def place(self) -> Path:
        """The folder of the records."""
        return self.folder / RECORDS

    def labels(self, name: str) -> Path:
        """Path of the labels with this name."""
        return self.folder / "labels" / f"{name}.tif"

    def objects(self, name: str) -> Path:
        """Path of the part of the table of objects with this name."""
        return self.place / f"{name}.csv"

    def staged(self, name: str, suffix: str) -> Path:
        """Path at which a file is written before it is moved to its place, whole."""
        return self.place / "work" / f"{name}{suffix}"

    def read(self, name: str) -> Record | None:
        """Read a record; None if there is none, or it is damaged or of another version."""
        try:
            found = read_json(self.place / f"{name}.json")
            return from_json(Record, found, where=name) if found.get("version") == VERSION else None
        except SamzooError:
            return None

    def write(self, name: str, record: Record) -> None:
        """Write a record.

        Raises:
            WriteError: The disk is full or the folder cannot be written.
        """
        write_json(self.place / f"{name}.json", asdict(record))

    def forget(self, name: str) -> None:
        """Delete a record."""
        (self.place / f"{name}.json").unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, Record]]:
        """Yield the records by name; one at a time, so that memory does not grow."""
        for path in sorted(self.place.glob("*.json")):
            # One that a killed process was writing is of no image, however whole it is.
            record = None if is_temporary(path) else self.read(path.stem)
            if record is not None:
                yield path.stem, record


def content_of(path: Path) -> str:
    """Return the sha256 of a file's bytes; of a folder, those of all files in it and their names.

    Raises:
        NotFoundError: There is no such file.
        StorageError: It cannot be read.
    """
    if not path.exists():
        raise NotFoundError(f"{path}: no such file or folder")
    try:
        if not path.is_dir():
            return sha256_of(path)
        digest = hashlib.sha256()
        for file in sorted(path.rglob("*")):
            if file.is_file():
                digest.update(f"{file.relative_to(path).as_posix()}\0".encode(errors="replace"))
                digest.update(bytes.fromhex(sha256_of(file)))
        return digest.hexdigest()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Say which settings differ, as ``mode: 'ais' then, 'apg' now``."""
    return [
        f"{key}: {then.get(key)!r} then, {now.get(key)!r} now"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]
