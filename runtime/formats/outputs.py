"""Output files and folders, which are either complete or not there at all.

In: paths, and what to write there. Out: the same paths, replaced in one step. Paths that may not
be overwritten are refused before any work is done.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from samzoo.runtime.errors import NotFoundError, OutputExistsError, StorageError, WriteError

MARKER_FILES = (
    "config.json", "adapter_config.json", "samzoo.json", "samzoo-gallery.json",
    "samzoo-pictures.json", "zarr.json",
)  # fmt: skip
"""A folder with one of these files is an artefact of samzoo, which ``--force`` may replace."""


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
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
        with suppress(OSError):  # the folder itself may be unusable
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder to sync
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    try:
        fill(temporary)
        temporary.chmod(0o755)
        _swap_in(temporary, path)
    except OSError as error:
        if isinstance(error, (StorageError, NotFoundError)):
            raise
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _swap_in(folder: Path, path: Path) -> None:
    """Move a complete folder to ``path``; put the old one back if that fails."""
    if not path.exists():
        os.replace(folder, path)
        return
    previous = folder.with_name(folder.name + ".old")
    os.replace(path, previous)
    try:
        os.replace(folder, path)
    except BaseException:
        os.replace(previous, path)
        raise
    shutil.rmtree(previous, ignore_errors=True)
