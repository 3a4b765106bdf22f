"""Retrieval of a package from the web into the cache, with all its files checked.

In: the package's place on the web, and the reference that led there. Out: its folder in the cache.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.budgets import MAX_CARD_BYTES, MAX_JSON_BYTES
from samzoo.runtime.engine.graph_contract import check_graphs
from samzoo.runtime.errors import FormatError, SamzooError, StorageError, shown
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import CARD_FILE, MANIFEST_FILE, FileEntry, Manifest
from samzoo.runtime.formats.outputs import replacing, write_bytes

from . import cache
from .documents import read_document
from .downloadable import check_downloadable
from .file_lock import locked
from .transfer import download


@dataclass(frozen=True)
class Place:
    """A package's place on the web, at a state that does not change.

    Attributes:
        key: The package's key, its folder's name in the cache.
        url: A function from a file's relative path to its URL.
        manifest_sha256: The sha256 of ``samzoo.json``, if a source outside the package gives it.
        token: As in ``open_url``.
    """

    key: str
    url: Callable[[str], str]
    manifest_sha256: str = ""
    token: str = ""


def pull_package(place: Place, reference: str, *, progress: Progress | None = None) -> Path:
    """Download a package, unless it is in the cache, and note the reference.

    Every file is checked against the manifest before the package gets its name in the cache. The
    next call resumes a broken download.

    Args:
        place: The package's place.
        reference: The reference that led there.
        progress: A function of the stage, the bytes done and the total number of bytes.

    Returns:
        The package's folder.

    Raises:
        FormatError: The manifest or a file is damaged, or not the expected one, or a graph breaks
            its contract.
        NotFoundError: A file does not exist.
        StorageError: The connection or the disk failed.
    """
    report: Progress = progress or (lambda stage, done, total: None)
    with locked(cache.lock_file(place.key), waiting=lambda: report("wait for another pull", 0, 0)):
        folder = cache.model_folder(place.key)
        if not is_whole(folder):
            _keep_good_files(folder, cache.partial_folder(place.key) / "files")
            folder = cache.install(_fetched(place, report), place.key)
        cache.remember(reference, place.key)
    return folder


def is_whole(folder: Path) -> bool:
    """Tell whether a package in the cache has all the bytes that its manifest lists."""
    try:
        manifest = Manifest.read(folder)
    except SamzooError:
        return False
    return all(_is_good(folder, entry) for entry in manifest.files)


def _is_good(folder: Path, entry: FileEntry) -> bool:
    path = folder / entry.path
    try:
        plain = path.is_file() and not path.is_symlink()
        return plain and path.stat().st_size == entry.size and sha256_of(path) == entry.sha256
    except OSError:
        return False


def _keep_good_files(folder: Path, content: Path) -> None:
    """Give the undamaged files of a damaged package to its next download."""
    try:
        manifest = Manifest.read(folder)
    except SamzooError:
        return
    for entry in manifest.files:
        target = content / entry.path
        if _is_good(folder, entry) and not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(folder / entry.path, temporary)


def _fetched(place: Place, report: Progress) -> Path:
    """Fetch into the partial folder, whose lock is held."""
    partial = cache.partial_folder(place.key)
    manifest, data = _fetched_manifest(place, partial / "new")
    total, done = sum(entry.size for entry in manifest.files), 0
    content = partial / "files"
    _drop_others(content, {entry.path for entry in manifest.files})
    _check_room(partial, total - _bytes_in(content))
    for entry in manifest.files:
        before = done
        download(
            place.url(entry.path), content / entry.path, entry, token=place.token,
            report=lambda here, before=before: report(  # type: ignore[misc]
                f"pull {manifest.name}", before + here, total),
        )  # fmt: skip
        done += entry.size
    check_graphs(content, manifest)
    write_bytes(content / MANIFEST_FILE, data)  # last: a folder with it is complete
    shutil.rmtree(partial / "new", ignore_errors=True)
    return content


def read_description(place: Place) -> tuple[Manifest, str | None]:
    """Read a package's manifest and card from the web, and nothing else; nothing is kept.

    Args:
        place: The package's place.

    Returns:
        The manifest, and the card if there is one.

    Raises:
        FormatError: One of them is damaged, or not the expected one.
        NotFoundError: There is no such package.
        StorageError: The connection or the disk failed.
    """
    with tempfile.TemporaryDirectory(prefix="samzoo-") as folder:
        manifest = _fetched_manifest(place, Path(folder))[0]
    for entry in manifest.files:
        if entry.path == CARD_FILE:
            data = read_document(place.url(CARD_FILE), limit=MAX_CARD_BYTES, token=place.token)
            if hashlib.sha256(data).hexdigest() != entry.sha256:
                raise FormatError(f"{place.url(CARD_FILE)}: the file is not the manifest's")
            return manifest, data.decode("utf-8", errors="replace")
    return manifest, None


def _fetched_manifest(place: Place, folder: Path) -> tuple[Manifest, bytes]:
    """Fetch the manifest into a folder, and check it."""
    address = place.url(MANIFEST_FILE)
    data = read_document(address, limit=MAX_JSON_BYTES, token=place.token)
    found = hashlib.sha256(data).hexdigest()
    if place.manifest_sha256 and found != place.manifest_sha256:
        raise FormatError(
            f"{address}: found sha256 {found}, the index says {shown(place.manifest_sha256)}; the "
            "model was changed after the index was made"
        )
    write_bytes(folder / MANIFEST_FILE, data)
    manifest = Manifest.read(folder)
    check_downloadable(manifest, where=address)
    return manifest, data


def _drop_others(folder: Path, wanted: set[str]) -> None:
    """Delete all files that the manifest does not list."""
    for path in sorted(folder.rglob("*"), reverse=True) if folder.is_dir() else []:
        if path.is_symlink() or (
            path.is_file() and path.relative_to(folder).as_posix() not in wanted
        ):
            path.unlink()


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StorageError(
            f"{folder}: {needed} bytes are needed, {free} are free; make room or set SAMZOO_CACHE "
            "to another disk"
        )
