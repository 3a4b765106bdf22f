"""Reading of small files from the web into memory, such as manifests and a hub's answers.

In: a URL and the largest size allowed. Out: the file's bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.fields import parse_json

from .transfer import ATTEMPTS, PAUSE
from .web import QUICK_TIMEOUT, TIMEOUT, TemporaryError, open_url

T = TypeVar("T")


def read_document(url: str, *, limit: int, token: str = "", quick: bool = False) -> bytes:
    """Read a URL, and try again if the connection fails.

    Args:
        url: The URL.
        limit: Largest size in bytes.
        token: As in ``open_url``.
        quick: Try once only, and do not wait long.

    Raises:
        FormatError: The file has more than ``limit`` bytes.
        InputError: See ``open_url``.
        NotFoundError: There is no such file.
        StorageError: The connection failed.
    """
    timeout = QUICK_TIMEOUT if quick else TIMEOUT

    def read() -> bytes:
        with open_url(url, token=token, timeout=timeout) as stream:
            data: bytes = stream.file.read(limit + 1)
        if len(data) > limit:
            raise FormatError(f"{url}: more than {limit} bytes, which is too large")
        if stream.total is not None and len(data) < stream.total:
            raise TemporaryError(f"{url}: ended after {len(data)} of {stream.total} bytes")
        return data

    return read() if quick else _several_times(read)


def size_of(url: str, *, limit: int) -> int:
    """Ask for a file's size in bytes, and try again if the connection fails.

    Raises:
        FormatError: The server does not tell the size, or it is above ``limit``.
        SamzooError: As for ``read_document``.
    """

    def ask() -> int | None:
        with open_url(url) as stream:
            return stream.total

    size = _several_times(ask)
    if size is None or size > limit:
        found = "no size" if size is None else f"{size} bytes"
        raise FormatError(f"{url}: found {found}, allowed are {limit} bytes")
    return size


def read_object(url: str, *, limit: int, token: str = "", quick: bool = False) -> dict[str, Any]:
    """Read a JSON object; the arguments are those of ``read_document``.

    Raises:
        FormatError: The file is too large, or not a JSON object.
        SamzooError: As for ``read_document``.
    """
    value = parse_json(read_document(url, limit=limit, token=token, quick=quick), where=url)
    if not isinstance(value, dict):
        raise FormatError(f"{url}: expected a JSON object, found {type(value).__name__}")
    return value


def _several_times(read: Callable[[], T]) -> T:
    """Read, and try again after longer and longer pauses while the error may be temporary."""
    for attempt in range(1, ATTEMPTS):
        try:
            return read()
        except TemporaryError:
            time.sleep(PAUSE * 2**attempt)
    return read()
