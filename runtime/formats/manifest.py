"""The package's manifest ``samzoo.json``: what is in a package and how it must be run.

In: a package folder. Out: a checked ``Manifest``. Format: ``docs/formats.md``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal, get_args

from samzoo.runtime.errors import FormatError, NotFoundError, shown

from .config import ModelConfig
from .digest import SHA256, json_digest
from .fields import check_format, from_json, to_json
from .files import read_json, write_json
from .tensor_files import refuse_pointer

PACKAGE_FORMAT, PACKAGE_VERSION = "samzoo-package", 4
"""Version 2 has adapters over a shared encoder; version 3 takes that encoder from another package;
version 4 stores what an adapter changes in a shared mask decoder. Each package is written in the
lowest version that can describe it, so that an older samzoo reads it.
"""

MANIFEST_FILE = "samzoo.json"
CARD_FILE = "README.md"

Precision = Literal["fp32", "fp16", "int8-weights", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""How the graphs store weights, and for ``int8`` compute with them."""

DIGEST = "digest"
"""The field with the digest of all others: the manifest is the one file that it cannot list."""

ENCODER, MASK_DECODER, AIS_DECODER = "encoder", "mask_decoder", "ais_decoder"
"""Roles of the ONNX files."""

FACTORS = "lora_factors"
"""Role of an adapter's ``.onnx_adapter`` file."""

DECODER_CHANGES = "mask_decoder_changes"
"""Role of the file with what an adapter changes in a mask decoder that several share."""

WEIGHTS = "weights"
"""Role of ``model.safetensors``, which a package may hold for other formats."""

GRAPH_FIELDS = ("gamma", "pixel_mean", "pixel_std")
"""Preprocessing fields that lie inside the encoder graph: adapters over one encoder share them."""

NAME = r"[a-z0-9][a-z0-9._-]{0,95}"
"""Regular expression of the names of packages and adapters."""

_SEGMENT = re.compile(r"[A-Za-z0-9._ +-]+")


@dataclass(frozen=True, kw_only=True)
class FileEntry:
    """One file of a package.

    Attributes:
        path: Relative to the package, with forward slashes.
        size: In bytes.
        sha256: 64 hex digits.
        role: ``encoder``, ``mask_decoder``, ``ais_decoder``, ``lora_factors``,
            ``mask_decoder_changes``, ``weights``, ``test``, or empty.
        adapter: The adapter that the file belongs to; empty if it belongs to the whole package.
    """

    path: str
    size: int
    sha256: str
    role: str = ""
    adapter: str = ""


@dataclass(frozen=True, kw_only=True)
class LoadProof:
    """A record that a tool opened the package.

    Attributes:
        target: The target whose folder the tool opened.
        tool: The tool's name.
        version: The tool's version.
        date: Day of the proof, ISO 8601.
        result: What was compared, and how well it agreed.
    """

    target: str
    tool: str
    version: str
    date: str
    result: str


@dataclass(frozen=True, kw_only=True)
class AdapterEntry:
    """One of the finetuned models that share a package's encoder.

    Attributes:
        name: The name that ``Model.use`` takes, lower case.
        model: The whole model's config, as if it had been merged: its weights digest is that of
            the merged weights.
        segments: What it segments, in a few words.
        license: SPDX identifier, or empty if unknown.
        metrics: Measured scores, as in the manifest.
    """

    name: str
    model: ModelConfig
    segments: str = ""
    license: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "adapters: name")


@dataclass(frozen=True, kw_only=True)
class EncoderSource:
    """Another package, whose encoder runs the adapters of this one.

    Attributes:
        name: That package's name.
        reference: What to pull: a name in an index, or ``hf:ORG/NAME@COMMIT``.
        sha256: Hash of the encoder's file; any package with that file will do.
        mask_decoder_sha256: Hash of the shared mask decoder's file, if the adapters change that
            instead of bringing their own; else empty.
    """

    name: str
    reference: str
    sha256: str
    mask_decoder_sha256: str = ""

    def __post_init__(self) -> None:
        check_name(self.name, "encoder_from: name")
        hashes = {"sha256": self.sha256, "mask_decoder_sha256": self.mask_decoder_sha256}
        for key, value in hashes.items():
            if not re.fullmatch(SHA256, value) and (value or key == "sha256"):
                raise FormatError(
                    f"encoder_from: {key}: found {shown(value)}, expected 64 lower-case hex digits"
                )

    @property
    def needed(self) -> dict[str, str]:
        """The hashes of the files that the adapters need, by role."""
        hashes = {ENCODER: self.sha256, MASK_DECODER: self.mask_decoder_sha256}
        return {role: sha256 for role, sha256 in hashes.items() if sha256}

    def missing(self, manifest: Manifest) -> list[str]:
        """Return the roles of the files that the package of a manifest has not."""
        found = {entry.role: entry.sha256 for entry in manifest.files if not entry.adapter}
        return [role for role, sha256 in self.needed.items() if found.get(role) != sha256]

    def is_in(self, manifest: Manifest) -> bool:
        """Tell whether the package of a manifest holds all that the adapters need."""
        return not self.missing(manifest)


Shows = Literal["use", "not"]
SHOWS: tuple[Shows, ...] = get_args(Shows)
"""Whether a picture is of images that a model is for, or of images that it fails on."""


@dataclass(frozen=True, kw_only=True)
class CardPicture:
    """A small picture on the card, by which people recognise their own images.

    Attributes:
        path: The picture's file in the package.
        shows: ``use`` for images that the model is for, ``not`` for those that it fails on.
        caption: What is to be seen, in a few words.
        attribution: Whose image it is, and its licence.
    """

    path: str
    shows: Shows
    caption: str
    attribution: str


@dataclass(frozen=True, kw_only=True)
class DataSet:
    """Images that a model was trained, chosen or tested on; a text may be empty.

    Attributes:
        name: The name of the data set, or what the images are.
        use: What it was for: training, validation, test.
        images: How many images and objects, of what, from which microscope.
        groups: What never crosses a split (fields, scenes, patients), and how many of them.
        split: How training, validation and test parts were divided.
        license: SPDX identifier, or the terms in words.
        attribution: Who made it, and the paper to cite.
        url: Where it is.
    """

    name: str
    use: str = ""
    images: str = ""
    groups: str = ""
    split: str = ""
    license: str = ""
    attribution: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        if not self.name.strip():
            raise FormatError("datasets: name: found an empty text; name the images")


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The content of ``samzoo.json``.

    Attributes:
        name: The model's name, lower case.
        segments: What it segments, in a few words.
        license: SPDX identifier, or empty if unknown.
        model: Architecture, preprocessing, AIS thresholds and weights digest; with ``adapters``,
            those of the base in the shared encoder.
        files: Every file of the package except the manifest.
        precision: How weights are stored in the ONNX files; see ``docs/formats.md``.
        metrics: Measured scores, each with its data, split and command.
        card: Texts of the model card that numbers cannot give: intended use, limits, data, authors.
        software: Versions that made the package.
        adapters: The finetuned models of a shared encoder, the default one first; empty in a
            package that holds one model.
        load_proofs: Tools that opened the package, each with what was compared.
        encoder_from: The package with the adapters' encoder, if this one has none.
        pictures: Small pictures on the card, of images that the model is for, or not.
        datasets: The images that the model was trained and tested on.
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
    adapters: tuple[AdapterEntry, ...] = ()
    load_proofs: tuple[LoadProof, ...] = ()
    encoder_from: EncoderSource | None = None
    pictures: tuple[CardPicture, ...] = ()
    datasets: tuple[DataSet, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        _check_adapters(self)

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read and check a package's manifest, not its other files.

        Args:
            folder: The package.

        Returns:
            The manifest, with safe relative paths only.

        Raises:
            NotFoundError: There is no package in this folder.
            FormatError: The manifest is damaged, from a newer samzoo, or names unsafe paths.
        """
        path = folder / MANIFEST_FILE
        if not path.is_file():
            raise NotFoundError(f"{folder}: no samzoo package here ({MANIFEST_FILE} is missing)")
        value = read_json(path)
        check_format(value, PACKAGE_FORMAT, PACKAGE_VERSION, where=str(path))
        digest = value.pop(DIGEST, None)
        if digest is not None and digest != json_digest(value):
            raise FormatError(
                f"{path}: {DIGEST}: found {shown(digest)}, the rest of the file has "
                f"{json_digest(value)}; it is damaged or was changed by hand; undo the "
                "change or fetch it again. Its texts are changed with samzoo card PACKAGE "
                "--template, and then samzoo card PACKAGE --from card.toml"
            )
        value.pop("format")
        manifest = from_json(cls, value, where=str(path))
        named = [each.path for each in manifest.files] + [each.path for each in manifest.pictures]
        for name in named:
            check_relative(name, where=str(path))
        return manifest

    def write(self, folder: Path) -> None:
        """Write ``samzoo.json``, which must be the last file written into a package.

        Args:
            folder: The package, which must exist.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        write_json(folder / MANIFEST_FILE, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the content of ``samzoo.json``; the last field is the digest of the others."""
        content = to_json(self)
        if not self.adapters:
            content.pop("adapters")
            for entry in content["files"]:
                entry.pop("adapter")
        for name in ("load_proofs", "pictures", "datasets"):
            if not content[name]:
                content.pop(name)
        version = 2 if self.adapters else 1
        if self.encoder_from is None:
            content.pop("encoder_from")
        else:
            version = 3
            if not self.encoder_from.mask_decoder_sha256:
                content["encoder_from"].pop("mask_decoder_sha256")
        if any(entry.role == DECODER_CHANGES for entry in self.files):
            version = 4
        header = {"format": {"name": PACKAGE_FORMAT, "version": version}}
        content = {**header, **content}
        return {**content, DIGEST: json_digest(content)}

    def graph(self, role: str, adapter: str = "") -> FileEntry | None:
        """Find a graph of the package.

        Args:
            role: ``encoder``, ``mask_decoder``, ``ais_decoder``, ``lora_factors`` or
                ``mask_decoder_changes``.
            adapter: The adapter's name, if the graph belongs to one adapter.

        Returns:
            The entry of the graph's file, or None if the package has no such graph.
        """
        wanted = (role, adapter)
        return next((entry for entry in self.files if (entry.role, entry.adapter) == wanted), None)


def check_name(name: str, where: str) -> None:
    """Check the name of a model or of an adapter.

    Raises:
        FormatError: The name holds a character that is not allowed; the message begins with
            ``where``.
    """
    if not re.fullmatch(NAME, name):
        raise FormatError(
            f"{where}: found {shown(name)}, allowed are lower-case letters, digits and "
            "._- (at most 96, not starting with ._-)"
        )


def _check_adapters(manifest: Manifest) -> None:
    """Check that the adapters fit the shared encoder, and that each file's adapter exists."""
    names = [entry.name for entry in manifest.adapters]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise FormatError(f"adapters: two have the name {shown(twice)}; names must differ")
    for file in manifest.files:
        if file.adapter and file.adapter not in names:
            raise FormatError(
                f"files: {shown(file.path)}: adapter: found {shown(file.adapter)}, the package "
                f"has {', '.join(names) or 'none'}"
            )
    if manifest.encoder_from is not None and (not names or manifest.graph(ENCODER) is not None):
        raise FormatError(
            f"encoder_from: names {shown(manifest.encoder_from.name)}, but the package "
            + ("has an encoder of its own" if names else "has no adapters for it")
        )
    shared = manifest.model
    for entry in manifest.adapters:
        same = {
            "architecture.image_encoder": (
                entry.model.architecture.image_encoder,
                shared.architecture.image_encoder,
            ),
            **{
                f"preprocessing.{name}": (
                    getattr(entry.model.preprocessing, name),
                    getattr(shared.preprocessing, name),
                )
                for name in GRAPH_FIELDS
            },
        }
        for name, (found, expected) in same.items():
            if found != expected:
                raise FormatError(
                    f"adapters: {entry.name}: {name}: found {shown(found)}, the shared encoder "
                    f"has {shown(expected)}; export this adapter into a package of its own"
                )


def read_entry(folder: Path, entry: FileEntry) -> bytes:
    """Read one file of a package and check its size and sha256.

    Raises:
        NotFoundError: The file does not exist.
        FormatError: It is not a plain file, or its content differs from the manifest.
    """
    path = folder / check_relative(entry.path, where=str(folder / MANIFEST_FILE))
    if path.is_symlink() or not path.is_file():
        if path.exists():
            raise FormatError(f"{path}: not a plain file")
        raise NotFoundError(f"{path}: listed in {MANIFEST_FILE} but not there; fetch it again")
    size = path.stat().st_size
    if size != entry.size:
        refuse_pointer(path)
    data = path.read_bytes() if size == entry.size else b""
    if size != entry.size or hashlib.sha256(data).hexdigest() != entry.sha256:
        raise FormatError(
            f"{path}: {size} bytes do not match {MANIFEST_FILE} ({entry.size} bytes, sha256 "
            f"{shown(entry.sha256, limit=20)}); the file is damaged or was changed, fetch it again"
        )
    return data


@dataclass(frozen=True)
class Reader:
    """Reads and checks the file of a role.

    Attributes:
        folder: The package.
        entries: The files by role.
    """

    folder: Path
    entries: Mapping[str, FileEntry]

    def __call__(self, role: str) -> bytes:
        """Return a role's bytes; see ``read_entry``."""
        return read_entry(self.folder, self.entries[role])

    def where(self, role: str) -> str:
        """Name a role's file, for messages."""
        return str(self.folder / self.entries[role].path)


def reader(folder: Path, manifest: Manifest, roles: Sequence[str], adapter: str = "") -> Reader:
    """Make a reader of the files of some roles.

    Args:
        folder: The package.
        manifest: Its manifest.
        roles: The roles that are needed.
        adapter: The adapter whose files to read; empty for files of the whole package.

    Raises:
        FormatError: A role has no file in the package.
    """
    entries: dict[str, FileEntry] = {}
    for role in roles:
        entry = manifest.graph(role, adapter)
        if entry is None:
            owner = f" of the adapter {adapter!r}" if adapter else ""
            raise FormatError(
                f"{folder / MANIFEST_FILE}: files: no file{owner} has the role {role!r}"
            )
        entries[role] = entry
    return Reader(folder, entries)


def check_relative(path: str, *, where: str) -> PurePosixPath:
    """Check a path from a file: it must be relative, of plain names, and inside its folder.

    Raises:
        FormatError: The path is anything else.
    """
    parts = path.split("/")
    plain = all(_SEGMENT.fullmatch(part) and part.strip(". ") for part in parts)
    if not plain or len(path) > 255:
        raise FormatError(f"{where}: unsafe path {shown(path)}; allowed are plain relative names")
    return PurePosixPath(path)
