"""The place of a BioImage.IO model: a zip file, or a nickname in the collection.

In: a reference. Out: the model's description, and a function that fetches the files beside it. The
addresses and variables are those of bioimageio.core 0.11 and bioimageio.spec 0.5.12.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urljoin

from samzoo.runtime.budgets import MAX_FILE_BYTES, MAX_JSON_BYTES
from samzoo.runtime.errors import FormatError, InputError, NotFoundError, shown
from samzoo.runtime.formats.digest import SHA256
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry
from samzoo.zoo.downloads.documents import read_document, read_object, size_of
from samzoo.zoo.downloads.transfer import download

from .bioimageio_rdf import MAX_RDF_BYTES, RdfFile
from .bioimageio_zip import copy_out, open_package, read_description

BIOIMAGEIO_PREFIX = "bioimageio:"
"""How a reference to a BioImage.IO model starts."""

INDEX_VARIABLE = "BIOIMAGEIO_COLLECTION_INDEX_URL"
INDEX_URL = "https://bioimage-io.github.io/collection/index.json"
PATTERN_VARIABLE = "BIOIMAGEIO_COLLECTION_HTTP_PATTERN"
PATTERN = "https://hypha.aicell.io/bioimage-io/artifacts/{bioimageio_id}/files/rdf.yaml"
COLLECTION = "bioimage-io/"

_NICKNAME = re.compile(r"(bioimage-io/)?[a-z0-9]+(-[a-z0-9]+)+")

Fetch = Callable[[RdfFile, Path, Callable[[int, int], None]], None]
"""A function that writes a checked file to a path, and reports the bytes done and in total."""


@dataclass(frozen=True)
class Found:
    """A model that was found.

    Attributes:
        key: The model's key in the cache, with the hash of its zip or description.
        where: The start of every message.
        name: A short name for the package.
        rdf: The description's bytes.
        fetch: A function that fetches a file that the description names.
    """

    key: str
    where: str
    name: str
    rdf: bytes
    fetch: Fetch


def is_zip(reference: str) -> bool:
    """Return whether a reference names a file and not a nickname."""
    return reference.lower().endswith(".zip")


def find_model(reference: str) -> Found:
    """Find a model.

    Args:
        reference: ``bioimageio:NICKNAME`` or ``bioimageio:FILE.zip``.

    Raises:
        InputError: The reference is neither.
        NotFoundError: The collection has no such model, or there is no such file.
        FormatError: The index, the description or the zip is damaged or malformed.
        StorageError: The connection failed or the file cannot be read.
    """
    rest = reference.removeprefix(BIOIMAGEIO_PREFIX)
    if is_zip(rest):
        if "://" in rest:
            raise InputError(
                f"{shown(reference)}: expected a path; download the zip, pass its path"
            )
        return _in_zip(Path(rest).expanduser())
    if not _NICKNAME.fullmatch(rest):
        raise InputError(
            f"{shown(reference)}: expected {BIOIMAGEIO_PREFIX} and a nickname such as "
            "affable-shark, or the path of a .zip"
        )
    return _in_collection(rest.removeprefix(COLLECTION))


def _in_zip(path: Path) -> Found:
    with open_package(path) as package:
        data = read_description(package, path, limit=MAX_RDF_BYTES)

    def fetch(file: RdfFile, target: Path, report: Callable[[int, int], None]) -> None:
        with open_package(path) as package:
            copy_out(
                package,
                target,
                FileEntry(path=file.path, size=0, sha256=file.sha256),
                where=str(path),
            )

    key = f"bioimageio--zip--{sha256_of(path)[:32]}"
    return Found(key=key, where=str(path), name=path.stem, rdf=data, fetch=fetch)


def _in_collection(nickname: str) -> Found:
    url, expected = _look_up(nickname)
    data = read_document(url, limit=MAX_RDF_BYTES)
    found = hashlib.sha256(data).hexdigest()
    if expected and found != expected:
        raise FormatError(
            f"{url}: found sha256 {found}, the collection's index says {expected}; the model was "
            "changed after the index was made"
        )

    def fetch(file: RdfFile, target: Path, report: Callable[[int, int], None]) -> None:
        address = urljoin(url, quote(file.path))
        size = size_of(address, limit=MAX_FILE_BYTES)
        entry = FileEntry(path=file.path, size=size, sha256=file.sha256)
        download(address, target, entry, report=lambda done: report(done, size))

    key = f"bioimageio--{nickname}--{found[:32]}"
    return Found(key=key, where=url, name=nickname, rdf=data, fetch=fetch)


def _look_up(nickname: str) -> tuple[str, str]:
    """Look up the description's URL and sha256; without an index entry, there is no sha256."""
    index = os.environ.get(INDEX_VARIABLE) or INDEX_URL
    try:
        items = read_object(index, limit=MAX_JSON_BYTES).get("items")
    except NotFoundError:
        items = []
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("id") in (nickname, COLLECTION + nickname):
            return _latest(item, where=f"{index}: {nickname}")
    pattern = os.environ.get(PATTERN_VARIABLE) or PATTERN
    return pattern.replace("{bioimageio_id}", nickname), ""


def _latest(item: dict[str, object], *, where: str) -> tuple[str, str]:
    versions = item.get("versions")
    latest = versions[-1] if isinstance(versions, list) and versions else None
    if not isinstance(latest, dict):
        raise FormatError(f"{where}: versions: expected a list of them, found {shown(versions)}")
    source, sha256 = latest.get("source"), latest.get("sha256")
    if not isinstance(source, str) or not source.startswith(("http://", "https://")):
        raise FormatError(f"{where}: source: expected a web address, found {shown(source)}")
    if not isinstance(sha256, str) or not re.fullmatch(SHA256, sha256):
        raise FormatError(f"{where}: sha256: expected 64 hex digits, found {shown(sha256)}")
    return source, sha256
