"""Reading of BioImage.IO packages in zip files, without trusting their names or sizes.

In: a zip from a stranger. Out: its description and single files, copied out one by one.
"""

from __future__ import annotations

import errno
import hashlib
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from samzoo.runtime.budgets import MAX_FILE_BYTES, MAX_FILES, MAX_PACKAGE_BYTES
from samzoo.runtime.errors import (
    FormatError,
    NotFoundError,
    SamzooError,
    StorageError,
    shown,
)
from samzoo.runtime.formats.manifest import FileEntry, check_relative

RDF_NAMES = ("rdf.yaml", "bioimageio.yaml")

MAX_RATIO = 200
"""Largest ratio of unpacked to packed size, for entries above ``SMALL``. Deflate reaches 1032; real
files of this kind stay below 100 (own choice)."""

SMALL = 2**20
_BLOCK = 2**20


class Package(NamedTuple):
    """An open package: the archive and its entries by name."""

    archive: zipfile.ZipFile
    entries: dict[str, zipfile.ZipInfo]


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """Open a zip whose every entry has been checked.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The zip is damaged, or its entries are too many, too large, encrypted or links,
            or their names are unsafe or equal without regard to case.
        StorageError: The file cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    try:
        with zipfile.ZipFile(path) as archive:
            yield Package(archive, _checked(archive, path))
    except SamzooError:
        raise
    # All errors that zipfile raises on damaged archives; it also looks where they send it.
    except (
        zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
        LookupError, OverflowError, ValueError, OSError,
    ) as error:  # fmt: skip
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
        raise FormatError(f"{path}: a damaged archive ({error}); fetch it again") from error


def _checked(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    found = archive.infolist()
    if len(found) > MAX_FILES:
        raise FormatError(f"{path}: found {len(found)} entries, allowed are {MAX_FILES}")
    seen: dict[str, str] = {}
    for entry in found:
        name = entry.orig_filename
        where = f"{path}: {shown(name)}"
        check_relative(name.removesuffix("/"), where=str(path))
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise FormatError(f"{where}: a link or special file; allowed are plain files")
        if entry.flag_bits & 1:
            raise FormatError(f"{where}: is encrypted; pack it without a password")
        lower = name.removesuffix("/").lower()
        if lower in seen:
            raise FormatError(f"{where}: the same name as {shown(seen[lower])}; rename one")
        seen[lower] = name
        large = entry.file_size > max(SMALL, MAX_RATIO * entry.compress_size)
        if large or entry.file_size > MAX_FILE_BYTES:
            raise FormatError(
                f"{where}: {entry.compress_size} bytes become {entry.file_size}; allowed are "
                f"{MAX_RATIO} times as many, and {MAX_FILE_BYTES}"
            )
    total = sum(entry.file_size for entry in found)
    if total > MAX_PACKAGE_BYTES:
        raise FormatError(f"{path}: {total} bytes unpacked, allowed are {MAX_PACKAGE_BYTES}")
    return {entry.filename: entry for entry in found if not entry.is_dir()}


def read_description(package: Package, path: Path, *, limit: int) -> bytes:
    """Read the description of a package.

    Raises:
        FormatError: There is no description, or it is too large.
    """
    names = [name for name in RDF_NAMES if name in package.entries]
    if not names:
        raise FormatError(
            f"{path}: not a BioImage.IO package, it has no {' or '.join(RDF_NAMES)} at its top"
        )
    entry = package.entries[names[0]]
    if entry.file_size > limit:
        raise FormatError(f"{path}: {names[0]}: {entry.file_size} bytes, allowed are {limit}")
    return package.archive.read(entry)


def copy_out(package: Package, target: Path, wanted: FileEntry, *, where: str) -> None:
    """Copy one file out of a package, and check it.

    Raises:
        FormatError: The file is missing, or has another sha256.
        StorageError: The file cannot be written.
    """
    entry = package.entries.get(wanted.path)
    if entry is None:
        raise FormatError(f"{where}: {wanted.path}: is missing, but the description names it")
    digest = hashlib.sha256()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with package.archive.open(entry) as source, target.open("wb") as file:
            # zipfile stops at the size that was checked.
            while block := source.read(_BLOCK):
                digest.update(block)
                file.write(block)
    except OSError as error:
        raise StorageError(f"{target}: cannot be written ({error.strerror or error})") from error
    if digest.hexdigest() != wanted.sha256:
        target.unlink()
        raise FormatError(
            f"{where}: {wanted.path}: found sha256 {digest.hexdigest()}, the description says "
            f"{wanted.sha256}; nothing was kept, tell whoever published it"
        )
