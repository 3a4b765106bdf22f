"""Download of one file, checked while it streams and resumed where it broke off.

In: a URL, and the size and sha256 that the file must have. Out: the complete file.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

from samzoo.runtime.errors import FormatError, StorageError, shown
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry

from .web import Stream, TemporaryError, open_url

ATTEMPTS = 5
"""Attempts in a row without a new byte after which a download fails (own choice)."""

PAUSE = 0.5
"""Seconds before the second attempt; they double with each further one (own choice)."""

_BLOCK = 2**18


def download(
    url: str,
    path: Path,
    entry: FileEntry,
    *,
    token: str = "",
    report: Callable[[int], None] = lambda _: None,
) -> None:
    """Download a file of known size and sha256, or resume its download.

    Args:
        url: The file's URL.
        path: The path to write, inside a temporary folder that nobody else uses.
        entry: The file's size and sha256.
        token: As in ``open_url``.
        report: A function of the number of bytes that have arrived.

    Raises:
        FormatError: The server's file has another size or sha256.
        NotFoundError: The server has no such file.
        StorageError: The connection or the disk failed.
    """
    failures = 0
    while True:
        before = _size(path)
        try:
            _attempt(url, path, entry, token=token, report=report)
            break
        except TemporaryError as error:
            failures = 0 if _size(path) > before else failures + 1
            if failures >= ATTEMPTS:
                raise StorageError(
                    f"{error}; gave up after {ATTEMPTS} attempts. Run the same command again to "
                    "resume"
                ) from error
            time.sleep(PAUSE * 2**failures)


def _attempt(
    url: str, path: Path, entry: FileEntry, *, token: str, report: Callable[[int], None]
) -> None:
    resumed = _size(path)
    if resumed > entry.size:
        path.unlink()
        resumed = 0
    if resumed < entry.size or not path.is_file():
        with open_url(url, start=resumed, token=token) as stream:
            _append(url, stream, path, entry, report)
    if _size(path) < entry.size:
        raise TemporaryError(f"{url}: ended after {_size(path)} of {entry.size} bytes")
    found = sha256_of(path)
    if found != entry.sha256:
        path.unlink()
        if resumed:  # the earlier download may have left wrong bytes
            raise TemporaryError(f"{url}: the continued file has the wrong sha256")
        raise FormatError(
            f"{url}: {entry.path}: found sha256 {found}, expected {shown(entry.sha256)}; the file "
            "was damaged or changed on the way. Nothing was kept; tell whoever published it"
        )
    report(entry.size)


def _append(
    url: str, stream: Stream, path: Path, entry: FileEntry, report: Callable[[int], None]
) -> None:
    if stream.total is not None and stream.total != entry.size:
        raise FormatError(
            f"{url}: {entry.path}: the server has {stream.total} bytes, expected {entry.size}; "
            "the model was changed without its manifest. Tell whoever published it"
        )
    done = stream.start
    with _opened(path, "r+b" if done else "wb") as file:
        file.seek(done)
        while done < entry.size:
            block = stream.file.read(min(_BLOCK, entry.size - done))
            if not block:
                return
            _write(file, block, path)
            done += len(block)
            report(done)
    if stream.file.read(1):
        raise FormatError(f"{url}: {entry.path}: is longer than the expected {entry.size} bytes")


def _opened(path: Path, mode: Literal["r+b", "wb"]) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open(mode)
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _write(file: BinaryIO, block: bytes, path: Path) -> None:
    """Write a block; separate from reading, since an ``OSError`` here comes from the disk."""
    try:
        file.write(block)
        file.flush()
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
