"""Who is let in: the page's own browser tab, with its token, and nobody else on the machine.

In: requests to a server on 127.0.0.1. Out: the same, or a refusal of a few words. Every page that
the user visits can send requests to 127.0.0.1, and so can every other user of the machine.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 2**16
"""Bytes of a request's body. Prompts and lines have some hundred."""

TOKEN_BYTES = 24
"""Random bytes of the token in the address: more than can be tried."""

HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
"""What goes out with every answer: nothing from elsewhere runs, nothing is kept or framed, and the
address with its token is told to nobody."""


def new_token() -> str:
    """Return a token for one run of the server."""
    return secrets.token_urlsafe(TOKEN_BYTES)


class Guard:
    """Lets requests through to an application that come from its own page.

    Args:
        app: The application; it sees paths without the token.
        token: The first part of every path.
        port: The port of 127.0.0.1 that the server listens on.
    """

    def __init__(self, app: App, *, token: str, port: int) -> None:
        self._app, self._token = app, token.encode()
        self._hosts = {f"{name}:{port}".encode() for name in ("127.0.0.1", "localhost")}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI says."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a websocket: there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        refused, path = self._refusal(scope)
        if refused is None:
            body, whole = await _body(receive)
            refused = None if whole else (413, "the request is too large")
        if refused is not None:
            await _refuse(send, *refused)
            return
        inner = {**scope, "path": path, "raw_path": path.encode(), "root_path": ""}
        await self._app(inner, _replay(body), _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[tuple[int, str] | None, str]:
        """Return why a request is refused, or None, and its path without the token."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        if len(found := headers.get(b"host", [])) != 1 or found[0].lower() not in self._hosts:
            return (403, "this host name is not allowed"), ""
        host = found[0].lower()
        origins = headers.get(b"origin", [])
        if any(origin.lower() != b"http://" + host for origin in origins):
            return (403, "requests from other pages are not allowed"), ""
        site = headers.get(b"sec-fetch-site", [b"none"])
        if any(value not in (b"same-origin", b"none") for value in site):
            return (403, "requests from other pages are not allowed"), ""
        # The path as it was sent: an encoded slash or dot is no part of a name here.
        raw = scope.get("raw_path") or scope["path"].encode()
        token, _, rest = raw.partition(b"?")[0].removeprefix(b"/").partition(b"/")
        if not secrets.compare_digest(token, self._token):
            return (404, "not found; use the address that samzoo annotate printed"), ""
        if scope["method"] == "POST":
            kinds = headers.get(b"content-type", [])
            if len(kinds) != 1 or kinds[0].partition(b";")[0].strip() != b"application/json":
                return (415, "requests must be JSON"), ""
            if len(origins) != 1:
                return (403, "requests need an Origin"), ""
        elif scope["method"] != "GET":
            return (405, "GET and POST alone are allowed"), ""
        if any(value and not value.isdigit() for value in headers.get(b"content-length", [])):
            return (400, "the length of the request is no number"), ""
        if any(int(value or 0) > MOST_BYTES for value in headers.get(b"content-length", [])):
            return (413, "the request is too large"), ""
        try:
            return None, "/" + rest.decode("ascii")
        except UnicodeDecodeError:
            return (404, "not found"), ""


async def _body(receive: Receive) -> tuple[bytes, bool]:
    """Return the body, and whether it is whole; one that is too large is not read to its end."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":  # the browser has gone
            return b"", True
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            return b"", False
        if not message.get("more_body", False):
            return b"".join(parts), True


def _replay(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _with_headers(send: Send) -> Send:
    async def add(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", []), *own]}
        await send(message)

    return add


async def _refuse(send: Send, status: int, why: str) -> None:
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"),
               (b"content-length", str(len(body)).encode()), (b"connection", b"close")]  # fmt: skip
    send = _with_headers(send)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
