"""The package's manifest ``samzoo.json``: what is in a package and how it must be run.

In: a package folder. Out: a checked ``Manifest``. Written by ``samzoo.zoo.export``, read by
``package.py`` and by everything that lists or shows models. Format: ``docs/formats.md``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from .config import ModelConfig, check_format, from_json, to_json
from .errors import FormatError, NotFoundError, shown
from .files import read_json, write_json

PACKAGE_FORMAT, PACKAGE_VERSION = "samzoo-package", 1
MANIFEST_FILE = "samzoo.json"

ENCODER, MASK_DECODER, AIS_DECODER = "encoder", "mask_decoder", "ais_decoder"
"""Roles of the ONNX files."""

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
_SEGMENT = re.compile(r"[A-Za-z0-9._ +-]+")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a package.

    Attributes:
        path: Relative, with forward slashes.
        size: In bytes.
        sha256: 64 hex digits.
        role: ``encoder``, ``mask_decoder``, ``ais_decoder``, or empty.
    """

    path: str
    size: int
    sha256: str
    role: str = ""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``samzoo.json``.

    Attributes:
        name: The model's name, lower case.
        segments: What it segments, in a few words.
        license: SPDX identifier, or empty if unknown.
        model: Architecture, preprocessing, AIS thresholds and weights digest.
        files: Every file of the package but the manifest.
        precision: How weights are stored in the ONNX files: ``fp32``, ``fp16`` or ``int8``.
        metrics: Measured scores, each with its data, split and command.
        card: Texts of the model card that numbers cannot give: intended use, limits, data, authors.
        software: Versions that made the package.
    """

    name: str
    model: ModelConfig
    files: tuple[FileEntry, ...]
    segments: str = ""
    license: str = ""
    precision: str = "fp32"
    metrics: dict[str, Any] = field(default_factory=dict)
    card: dict[str, str] = field(default_factory=dict)
    software: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise FormatError(
                f"name: found {shown(self.name)}, allowed are lower-case letters, digits and "
                "._- (at most 96, not starting with ._-)"
            )

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check a package's manifest, not its other files.

        Raises:
            NotFoundError: There is no package in this folder.
            FormatError: The manifest is damaged, from a newer samzoo, or names unsafe paths.
        """
        path = folder / MANIFEST_FILE
        if not path.is_file():
            raise NotFoundError(f"{folder}: no samzoo package here ({MANIFEST_FILE} is missing)")
        value = read_json(path)
        check_format(value, PACKAGE_FORMAT, PACKAGE_VERSION, where=str(path))
        value.pop("format")
        manifest = from_json(cls, value, where=str(path))
        for entry in manifest.files:
            check_relative(entry.path, where=str(path))
        return manifest

    def write(self, folder: Path) -> None:
        """Write ``samzoo.json``; the last file of a package to be written.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        header = {"format": {"name": PACKAGE_FORMAT, "version": PACKAGE_VERSION}}
        write_json(folder / MANIFEST_FILE, {**header, **to_json(self)})

    def graph(self, role: str) -> FileEntry | None:
        """The file of a role, or None."""
        return next((entry for entry in self.files if entry.role == role), None)


def read_entry(folder: Path, entry: FileEntry) -> bytes:
    """Read one file of a package and check its size and sha256 first.

    Raises:
        NotFoundError: It is not there.
        FormatError: It is not a plain file, or its content differs from the manifest.
    """
    path = folder / check_relative(entry.path, where=str(folder / MANIFEST_FILE))
    if path.is_symlink() or not path.is_file():
        if path.exists():
            raise FormatError(f"{path}: not a plain file")
        raise NotFoundError(f"{path}: listed in {MANIFEST_FILE} but not there; fetch it again")
    size = path.stat().st_size
    data = path.read_bytes() if size == entry.size else b""
    if size != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise FormatError(
            f"{path}: {size} bytes do not match {MANIFEST_FILE} ({entry.size} bytes, sha256 "
            f"{shown(entry.sha256, limit=20)}); the file is damaged or was changed, fetch it again"
        )
    return data


def check_relative(path: str, *, where: str) -> PurePosixPath:
    """Check a path that came out of a file: relative, plain names, inside its folder.

    Raises:
        FormatError: It is anything else.
    """
    parts = path.split("/")
    plain = all(_SEGMENT.fullmatch(part) and part.strip(". ") for part in parts)
    if not plain or len(path) > 255:
        raise FormatError(f"{where}: unsafe path {shown(path)}; allowed are plain relative names")
    return PurePosixPath(path)
