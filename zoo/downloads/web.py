"""Reading of ``http``, ``https`` and ``file`` URLs; redirects cannot leave the web.

In: a URL and the byte to start at. Out: an open stream, or an error that tells whether another
attempt makes sense.
"""

from __future__ import annotations

import http.client
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import urlsplit

from samzoo.runtime.errors import InputError, NotFoundError, StorageError, shown

TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as broken."""

QUICK_TIMEOUT = 5.0
"""The same for what a command can do without, such as one of several indexes (own choice)."""

_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


class TemporaryError(StorageError):
    """The connection failed, but another attempt may succeed."""


class Stream(NamedTuple):
    """An open download.

    Attributes:
        file: The stream to read from.
        start: Position of the first byte; 0 if the server ignored the requested start.
        total: Size of the whole file in bytes, or None if the server does not tell it.
    """

    file: IO[bytes]
    start: int
    total: int | None


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        before, after = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if after not in ("http", "https") or (before == "https" and after == "http"):
            raise InputError(
                f"{req.full_url}: redirects to {shown(newurl)}, allowed is only https (or http "
                "from http); do not use this source"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """Make an opener for HTTP only; urllib's default would also read file, ftp and data URLs."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPErrorProcessor,
        _Redirects,
    ):
        opener.add_handler(handler())
    return opener


@contextmanager
def open_url(
    url: str, *, start: int = 0, token: str = "", timeout: float = TIMEOUT
) -> Iterator[Stream]:
    """Open a URL for reading.

    Args:
        url: ``http``, ``https`` or ``file``.
        start: The byte to start at.
        token: Bearer token for the URL's own host; it is not sent to the target of a redirect.
        timeout: Seconds without a byte after which the connection counts as broken.

    Raises:
        InputError: The URL, or a redirect, has another scheme.
        NotFoundError: There is no such file, or we may not read it.
        TemporaryError: The server or the connection failed; trying again may help.
        StorageError: Reading failed for another reason.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        with _open_file(url, start) as stream:
            yield stream
        return
    if scheme not in ("http", "https"):
        raise InputError(f"{shown(url)}: allowed are http, https and file URLs")
    request = urllib.request.Request(url, headers={"User-Agent": "samzoo"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    try:
        response = _opener().open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(url, error.code) from error
    except (OSError, http.client.HTTPException) as error:
        through = _proxy_in_use(url)
        raise TemporaryError(f"{url}: no connection{through} ({_reason(error)})") from error
    with response:
        try:
            yield _stream(response, start)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, (StorageError, NotFoundError)):
                raise
            raise TemporaryError(f"{url}: the connection broke ({_reason(error)})") from error


def _stream(response: Any, start: int) -> Stream:
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range") or "")
    if response.status == 206 and span and int(span[1]) == start:
        return Stream(response, start, int(span[2]))
    length = response.headers.get("Content-Length") or ""
    return Stream(response, 0, int(length) if re.fullmatch(r"\d{1,18}", length) else None)


@contextmanager
def _open_file(url: str, start: int) -> Iterator[Stream]:
    path = Path(urllib.request.url2pathname(urlsplit(url).path))
    if not path.is_file():
        raise NotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        file.seek(start)
        yield Stream(file, start, os.fstat(file.fileno()).st_size)


def _refused(url: str, status: int) -> Exception:
    if status in (401, 403, 404, 410):
        return NotFoundError(
            f"{url}: the server has no such file, or not for you (HTTP {status}); check the name "
            "and revision, and for a private model set HF_TOKEN"
        )
    if 300 <= status < 400:  # urllib follows some, and gives up on a circle
        return StorageError(
            f"{url}: the server redirects without an end, or to nowhere (HTTP {status}); check the "
            "address"
        )
    kind = TemporaryError if status in _TEMPORARY else StorageError
    return kind(f"{url}: the server answered HTTP {status}; try again later")


def _proxy_in_use(url: str) -> str:
    """Say for messages that a connection goes through a proxy, without its user and password."""
    parts = urlsplit(url)
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy is None or urllib.request.proxy_bypass(parts.hostname or ""):
        return ""
    return f" through the proxy {shown(proxy.rpartition('@')[2])}, which a variable such as " + (
        f"{parts.scheme}_proxy sets"
    )


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", "") or error) or type(error).__name__
