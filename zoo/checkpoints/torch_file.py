"""Reading of PyTorch files without torch and without running any code in them.

In: a file that ``torch.save`` wrote, a zip archive or the older stream. Out: the saved value, in
which tensors are ``StoredTensor`` (shape and place of the bytes) until ``load_tensors`` reads them.
"""

from __future__ import annotations

import errno
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import IO, Any

from samzoo.runtime.budgets import MAX_PICKLE_BYTES
from samzoo.runtime.errors import FormatError, StorageError, shown

from .file_kinds import refuse_other_archive
from .pickle_machine import MalformedPickleError, Placeholder, read_pickle
from .stored_tensors import CONSTRUCTORS, Place, Storage, describe_storage

ZIP_START = b"PK\x03\x04"
STREAM_START = b"\x80"

LOCAL_HEADER = struct.Struct("<26x2H")
"""Header of a zip entry; its last two numbers are the lengths of the name and of the padding."""

MAX_UNPACKED_TIMES = 20
"""Weights pack to not much less than their size; what unpacks to more was made to fill memory (own
choice)."""

STREAM_MAGIC = 0x1950A86A20F9469CFC6C
"""First value of the older format. Source: torch, ``serialization.py``."""

STREAM_PROTOCOL = 1001


def read_torch_file(path: Path) -> object:
    """Read a PyTorch file's structure; the weights stay in the file.

    Args:
        path: A file that starts with ``ZIP_START`` or ``STREAM_START``.

    Returns:
        Plain containers and values, ``StoredTensor``, and a ``Placeholder`` for all else.

    Raises:
        FormatError: The file is damaged or exceeds the limits, or its parts contradict each other.
        StorageError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(ZIP_START)) == ZIP_START:
                return _read_archive(path)
            file.seek(0)
            return _read_stream(file, path)
    except MalformedPickleError as error:
        raise FormatError(
            f"{path}: not a usable PyTorch checkpoint ({error}); fetch the file again, or save a "
            "state dict of tensors; files that contain code are not loaded"
        ) from error
    except FormatError:
        raise
    # All errors that zipfile raises on damaged archives.
    except (
        zipfile.BadZipFile, ArithmeticError, EOFError, LookupError, RuntimeError, ValueError,
        struct.error,
    ) as error:  # fmt: skip
        _refuse_cut_off(path)
        raise FormatError(f"{path}: a damaged archive ({error}); fetch the file again") from error
    except OSError as error:
        if error.errno == errno.EINVAL:  # zipfile looks where a damaged archive sends it
            raise FormatError(f"{path}: a damaged archive; fetch the file again") from error
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _read_archive(path: Path) -> object:
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        refuse_other_archive(path, entries)
        _check_archive(archive, path)
        found = [name for name in entries if name.count("/") == 1 and name.endswith("/data.pkl")]
        if len(found) != 1:
            raise MalformedPickleError("an archive without a data.pkl")
        root = found[0].removesuffix("data.pkl")
        if f"{root}byteorder" in entries and archive.read(f"{root}byteorder") != b"little":
            raise MalformedPickleError("it was not written on a little-endian machine")
        if entries[found[0]].file_size > MAX_PICKLE_BYTES:
            raise MalformedPickleError(f"its data.pkl has more than {MAX_PICKLE_BYTES} bytes")
        data = archive.read(found[0])

        prefix = f"{root}data/"
        places = {
            name.removeprefix(prefix): Place(_data_start(archive, entry), entry.CRC)
            for name, entry in entries.items()
            if name.startswith(prefix)
        }

    def storage(reference: object) -> object:
        made = describe_storage(reference, places)
        if isinstance(made, Placeholder):
            return made
        key = shown(made.key, limit=40)
        if made.key not in places:
            raise ValueError(f"the storage {key} is not in the archive")
        size = entries[prefix + made.key].file_size
        if size != made.nbytes:
            raise ValueError(
                f"the storage {key} claims {made.count} values of {made.dtype}, the archive has "
                f"{size} bytes"
            )
        return made

    return _read(BytesIO(data), storage)


def _refuse_cut_off(path: Path) -> None:
    """Refuse an archive whose end is missing, with the size that its list of tensors asks for.

    torch writes the list of tensors first, so that half a download still says how much is missing.
    """
    needed = 0

    def storage(reference: object) -> object:
        nonlocal needed
        made = describe_storage(reference, {})
        needed += made.nbytes if isinstance(made, Storage) else 0
        return made

    try:
        with path.open("rb") as file:
            header = file.read(LOCAL_HEADER.size)
            name_length, padding = LOCAL_HEADER.unpack(header)
            if not file.read(name_length).endswith(b"/data.pkl"):
                return
            file.seek(padding, 1)
            _read(BytesIO(file.read(MAX_PICKLE_BYTES)), storage)
    except (OSError, struct.error, MalformedPickleError):
        return
    size = path.stat().st_size
    if needed > size:
        raise FormatError(
            f"{path}: is cut off: found {size} bytes, its tensors alone have {needed}; fetch the "
            "file again"
        )


def _data_start(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> int:
    """Find where an entry's bytes start: after its own header, a name and padding."""
    file = archive.fp
    assert file is not None
    file.seek(entry.header_offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(ZIP_START):
        raise zipfile.BadZipFile(f"no entry {shown(entry.filename, limit=40)} where it should be")
    name, padding = LOCAL_HEADER.unpack(header)
    return entry.header_offset + LOCAL_HEADER.size + int(name) + int(padding)


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse archives that expand when they are read; torch stores its entries uncompressed."""
    entries = archive.infolist()
    total, size = sum(entry.file_size for entry in entries), path.stat().st_size
    packed = any(entry.compress_type != zipfile.ZIP_STORED for entry in entries)
    if packed and total <= MAX_UNPACKED_TIMES * size:
        raise FormatError(
            f"{path}: is a PyTorch file that was unpacked and zipped again, with compression; "
            "unpack it, and zip it without (zip -0 -r OUT.pth FOLDER), or fetch the file again"
        )
    if packed or total > size:
        raise FormatError(
            f"{path}: found entries of {total} bytes, packed or overlapping, in {size} bytes; "
            "allowed are uncompressed entries, as torch.save writes"
        )
    if len({entry.filename for entry in entries}) != len(entries):
        raise FormatError(f"{path}: the archive has two entries of one name; fetch the file again")


def _read_stream(file: IO[bytes], path: Path) -> object:
    """Read the older format: a few pickles, the list of storages, then their values."""
    stream: Any = _Limited(file)
    header = [_read(stream, _no_storage)]
    if header[0] != STREAM_MAGIC:
        raise MalformedPickleError("a pickle of Python's own; expected a file of torch.save")
    header += [_read(stream, _no_storage) for _ in range(2)]
    if header[1] != STREAM_PROTOCOL:
        raise MalformedPickleError("it does not start as torch.save starts")
    if not isinstance(header[2], dict) or header[2].get("little_endian") is not True:
        raise MalformedPickleError("it was not written on a little-endian machine")
    places: dict[str, Place] = {}
    claims: dict[str, Storage] = {}

    def storage(reference: object) -> object:
        made = describe_storage(reference, places)
        if isinstance(made, Storage) and claims.setdefault(made.key, made) != made:
            raise ValueError(f"the storage {shown(made.key, limit=40)} has two descriptions")
        return made

    value = _read(stream, storage)
    keys = _read(stream, _no_storage)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise MalformedPickleError("it has no list of storages")
    if len(keys) != len(claims) or {*keys} != {*claims}:
        raise MalformedPickleError("its list of storages is not that of its tensors")
    end = path.stat().st_size
    for key in keys:
        count = int.from_bytes(file.read(8), "little")
        places[key] = Place(file.tell())
        if count != claims[key].count:
            raise MalformedPickleError(f"the storage {shown(key, limit=40)} has another length")
        needed = places[key].start + claims[key].nbytes
        if needed > end:
            raise FormatError(
                f"{path}: is cut off: the storage {shown(key, limit=40)} ends at byte {needed}, "
                f"the file has {end}; fetch the file again"
            )
        file.seek(claims[key].nbytes, 1)
    return value


class _Limited:
    """The start of a file, up to ``MAX_PICKLE_BYTES``."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.tell = file.tell

    def read(self, count: int) -> bytes:
        return self._checked(self._file.read(min(count, MAX_PICKLE_BYTES)))

    def readline(self) -> bytes:
        return self._checked(self._file.readline(MAX_PICKLE_BYTES))

    def _checked(self, data: bytes) -> bytes:
        if self._file.tell() > MAX_PICKLE_BYTES:
            raise MalformedPickleError(f"more than {MAX_PICKLE_BYTES} bytes before the weights")
        return data


def _read(file: IO[bytes], storage: Callable[[object], object]) -> object:
    return read_pickle(file, constructors=CONSTRUCTORS, persistent=storage)


def _no_storage(_: object) -> object:
    raise ValueError("a storage where there is none")
