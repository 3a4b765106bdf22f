"""Output files and folders, which are either complete or not there at all.

In: paths, and what to write there. Out: the same paths, replaced in one step. Paths that may not
be overwritten are refused before any work is done.

What is being written has a temporary name beside its own, and a lock while its process lives. What
a killed process leaves has none, and the next process that writes into the folder deletes it.
"""

from __future__ import annotations

import ctypes
import functools
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import NotFoundError, OutputExistsError, StorageError, WriteError

if sys.platform != "win32":
    import fcntl

MARKER_FILES = (
    "config.json", "adapter_config.json", "samzoo.json", "samzoo-gallery.json",
    "samzoo-pictures.json", "zarr.json",
)  # fmt: skip
"""A folder with one of these files is an artefact of samzoo, which ``--force`` may replace."""

TEMPORARY = re.compile(r"\..+\.\d{1,7}\.part(\.[^.]+)?")
"""Names of what is being written: a dot, the name, a number, ``.part``, and the suffix."""

PREVIOUS = ".previous"
"""End of the hidden name that an old folder has while a new one takes its place, where the system
cannot exchange the two."""

_AT_FDCWD, _EXCHANGE = -100, 2
"""Arguments of Linux's ``renameat2``: the working folder, ``RENAME_EXCHANGE``. Source: Linux,
``fcntl.h``, ``linux/fs.h``."""

_MOST_SYNCED = 1000
"""Files of a new folder that are flushed to the disk one by one; for more, all disks are (own
choice)."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file in one step; an older file stays until the new one is complete.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same folder; move it to ``path`` when the block succeeds.

    The temporary path has the same suffix, because image writers choose the format by it.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    temporary = path
    lock: int | None = None
    try:
        make_folder(path.parent)
        _clean(str(path.parent))
        temporary, lock = _begin(path.parent, path.stem, path.suffix, folder=False)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise WriteError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if lock is not None:
            with suppress(OSError):  # the folder itself may be unusable
                temporary.unlink(missing_ok=True)
            os.close(lock)


def is_temporary(path: Path) -> bool:
    """Tell whether a file or folder is one that a process was writing."""
    return TEMPORARY.fullmatch(path.name) is not None


def _begin(parent: Path, stem: str, suffix: str, *, folder: bool) -> tuple[Path, int]:
    """Make a temporary file or folder that nobody else has, and lock it."""
    while True:
        path = parent / f".{stem}.{secrets.randbelow(10**7):07d}.part{suffix}"
        try:
            if folder:
                path.mkdir()
                lock = os.open(path, os.O_RDONLY) if os.name != "nt" else os.dup(2)
            else:
                lock = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666)
        except FileExistsError:
            continue
        if _lock(lock) and path.exists():  # nobody cleaned it before it was locked
            return path, lock
        os.close(lock)


def _lock(descriptor: int) -> bool:
    """Lock an open file or folder, unless another process or thread has locked it."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


@functools.cache
def _clean(folder: str) -> None:
    """Delete what killed processes left in a folder; once in a process, since folders can be large.

    Windows has no such locks, and keeps them.
    """
    if sys.platform == "win32":
        return
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in [each for each in entries if TEMPORARY.fullmatch(each.name)]:
            with suppress(OSError):
                descriptor = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW)
                try:
                    if not _lock(descriptor):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        shutil.rmtree(entry.path, ignore_errors=True)
                    else:
                        os.unlink(entry.path)
                finally:
                    os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those around it; each stays after a crash."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to sync
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Flush a new folder with all that is in it to the disk.

    Raises:
        OSError: The disk failed.
    """
    if os.name == "nt":
        return
    found = [path for path in folder.rglob("*") if not path.is_symlink()]
    if len(found) > _MOST_SYNCED:
        os.sync()
        return
    for path in found:
        _sync_folder(path)  # a file's handle does as well
    _sync_folder(folder)


def check_output(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse to overwrite a file or folder, before any work is done.

    Args:
        path: What will be written.
        force: Allow replacing an existing file or folder.
        inputs: Files and folders that the work reads. Neither they nor folders around them are
            ever replaced.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or it is one of the inputs.
    """
    recover(path)
    for given in inputs:
        original = Path(os.path.realpath(given))  # unlike resolve, no error for a loop of links
        if Path(os.path.realpath(path)) in (original, *original.parents):
            raise OutputExistsError(
                f"{path}: writing it would replace the input {given}; choose another output"
            )
    if path.exists() and not force:
        raise OutputExistsError(f"{path}: exists already; pass --force to replace it")


def check_output_folder(path: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Refuse to replace a folder, before any work is done.

    Args:
        path: The folder that will be written.
        force: Allow replacing an artefact of samzoo, never anything else.
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
        force: Replace an existing artefact, which stays until the new one is complete.

    Raises:
        OutputExistsError: ``path`` exists and ``force`` is false, or it is not an artefact.
        StorageError: The disk is full or the folder cannot be written.
    """
    check_output_folder(path, force=force)
    with new_folder(path) as temporary:
        fill(temporary)


@contextmanager
def new_folder(path: Path, *, beside: Path | None = None) -> Iterator[Path]:
    """Give a temporary folder, and move it to ``path`` when the block succeeds.

    Args:
        path: The folder to make or replace.
        beside: The folder that holds the temporary one, on the same disk; by default that of
            ``path``.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    parent = beside or path.parent
    temporary = path
    lock: int | None = None
    try:
        make_folder(path.parent)
        _clean(str(parent))
        temporary, lock = _begin(parent, path.name, "", folder=True)
        yield temporary
        sync_tree(temporary)
        swap_in(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        if isinstance(error, (StorageError, NotFoundError)):
            raise
        raise WriteError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        if lock is not None:
            shutil.rmtree(temporary, ignore_errors=True)  # or what it was exchanged for
            os.close(lock)


def swap_in(folder: Path, path: Path) -> None:
    """Move a complete folder to ``path``, never missing; ``folder`` becomes the old one.

    Raises:
        OSError: It cannot be moved.
    """
    if not path.exists():
        os.replace(folder, path)
    elif not _exchange(folder, path):
        previous = _previous(path)
        shutil.rmtree(previous, ignore_errors=True)
        os.replace(path, previous)
        try:
            os.replace(folder, path)
        except BaseException:
            os.replace(previous, path)
            raise
        shutil.rmtree(previous, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places in one step; False where the system cannot."""
    try:
        library: Any = ctypes.CDLL(None)
        if sys.platform == "darwin":
            done = library.renamex_np(os.fsencode(one), os.fsencode(other), _EXCHANGE)
        else:
            done = library.renameat2(
                _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _EXCHANGE
            )
    except (AttributeError, OSError, TypeError):  # another system, or an old one
        return False
    return bool(done == 0)


def _previous(path: Path) -> Path:
    return path.with_name(f".{path.name}{PREVIOUS}")


def recover(path: Path) -> None:
    """Put back an old folder whose replacement a crash has stopped between two renames."""
    with suppress(OSError, ValueError):  # a path without a name
        previous = _previous(path)
        if previous.is_dir() and not path.exists():
            os.replace(previous, path)
        elif previous.is_dir():
            shutil.rmtree(previous, ignore_errors=True)
