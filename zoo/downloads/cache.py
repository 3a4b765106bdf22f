"""The folder of downloaded packages: ``SAMZOO_CACHE``, or the user's cache folder.

Layout::

    models/KEY/        a complete package; it appears by one rename
    refs/REFERENCE     a file with the KEY that a reference (percent-encoded) led to
    partial/KEY/       a download that is running, or that broke off and can be resumed
    locks/KEY.lock     held by the process that downloads or removes KEY
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest
from samzoo.runtime.formats.outputs import swap_in, sync_tree, write_bytes

from .file_lock import locked

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")


class Cached(NamedTuple):
    """A downloaded package.

    Attributes:
        key: The folder's name.
        folder: The package.
        references: The references by which it was pulled, sorted.
    """

    key: str
    folder: Path
    references: list[str]


def cache_folder() -> Path:
    """Return the cache's folder, which need not exist yet.

    Raises:
        StorageError: Nothing says where it is: no ``SAMZOO_CACHE``, and no home folder.
    """
    given = os.environ.get("SAMZOO_CACHE")
    if given:
        return Path(given).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData/Local") / "samzoo"
    if sys.platform == "darwin":
        return _home() / "Library/Caches/samzoo"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "samzoo"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # HOME is not set, and the system does not know the user
        raise StorageError(
            "there is no home folder for the cache; set SAMZOO_CACHE to a folder"
        ) from error


def model_folder(key: str) -> Path:
    """Return where a package is or will be."""
    return cache_folder() / "models" / key


def partial_folder(key: str) -> Path:
    """Return the folder where a download arrives; only for the holder of its lock."""
    return cache_folder() / "partial" / key


def lock_file(key: str) -> Path:
    """Return the lock file of a package."""
    return cache_folder() / "locks" / f"{key}.lock"


def find(reference: str) -> Path | None:
    """Find the package that a reference led to when it was last pulled.

    Returns:
        The package's folder, or None if it is not in the cache.
    """
    path = _reference_file(reference)
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    complete = _KEY.fullmatch(key) and (model_folder(key) / MANIFEST_FILE).is_file()
    return model_folder(key) if complete else None


def remember(reference: str, key: str) -> None:
    """Note that a reference led to a package.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    write_bytes(_reference_file(reference), key.encode())


def cached() -> list[Cached]:
    """List the complete packages in the cache, sorted by key."""
    references: dict[str, list[str]] = {}
    for path in sorted(_children("refs")):
        if not path.name.startswith("."):  # a reference that is being written
            key = path.read_text(encoding="ascii", errors="replace").strip()
            references.setdefault(key, []).append(unquote(path.name))
    return [
        Cached(path.name, path, references.get(path.name, []))
        for path in sorted(_children("models"))
        if (path / MANIFEST_FILE).is_file()
    ]


def install(folder: Path, key: str) -> Path:
    """Move a complete, checked package into its place; only for the holder of its lock.

    Raises:
        StorageError: The folder cannot be moved.
    """
    target = model_folder(key)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_tree(folder)
        swap_in(folder, target)
        shutil.rmtree(folder, ignore_errors=True)  # what was there, damaged
    except OSError as error:
        raise StorageError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def remove(reference: str) -> list[Path]:
    """Delete a package from the cache, and the remains of its broken downloads.

    Args:
        reference: The reference by which the package was pulled, its key, or the name in its
            manifest if no other package has it.

    Returns:
        The deleted folders.

    Raises:
        NotFoundError: The cache has no such package; the message lists those it has.
        StorageError: The package cannot be deleted.
    """
    package = _find(reference)
    gone = []
    with locked(lock_file(package.key)):
        try:
            # Renamed first, so that no half-deleted package can be found.
            dying = partial_folder(f"{package.key}.removed")
            dying.parent.mkdir(parents=True, exist_ok=True)
            os.replace(package.folder, dying)
            shutil.rmtree(dying)
            shutil.rmtree(partial_folder(package.key), ignore_errors=True)
            for known in package.references:
                _reference_file(known).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(f"{package.folder}: cannot be deleted ({error})") from error
        gone.append(package.folder)
    return gone


def folder_of(reference: str) -> Path:
    """Find a package in the cache by anything that ``remove`` takes.

    Raises:
        NotFoundError: The cache has no such package; the message lists those it has.
    """
    return _find(reference).folder


def _find(reference: str) -> Cached:
    there = cached()
    found = [each for each in there if reference in (each.key, *each.references)]
    found = found or [each for each in there if _name(each.folder) == reference]
    if len(found) != 1:
        known = ", ".join(shown(each.references[0] if each.references else each.key)
                          for each in (found or there)) or "none"  # fmt: skip
        problem = "several packages in the cache have this name" if found else "not in the cache"
        raise NotFoundError(f"{shown(reference)}: {problem}; it has: {known}")
    return found[0]


def _name(folder: Path) -> str | None:
    try:
        return Manifest.read(folder).name
    except (FormatError, NotFoundError):
        return None


def _children(name: str) -> list[Path]:
    folder = cache_folder() / name
    return list(folder.iterdir()) if folder.is_dir() else []


def _reference_file(reference: str) -> Path:
    return cache_folder() / "refs" / quote(reference[:180], safe="")
