"""The server's application: the page's files, pictures of the session, and its actions.

In: requests that ``guards.py`` has let through. Out: answers. The only module that imports
Starlette.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samzoo.runtime.errors import InputError, SamzooError, StorageError
from samzoo.runtime.formats.fields import parse_json
from samzoo.runtime.images.label_table import LabelTable

from .actions import ACTIONS, Desk
from .pictures import image_png, label_bytes, overlay_png

FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
}
"""The page's files by their paths. No other file can be asked for."""


def make_application(desk: Desk, *, stop: Callable[[], None]) -> Starlette:
    """Make the application of a session.

    Args:
        desk: The session.
        stop: Ends the server; the page's Quit button calls it.
    """

    async def quit_server(_: Request) -> Response:
        stop()
        return JSONResponse({"stopped": True})

    routes = [Route(f"/{path}", _file(*found)) for path, found in FILES.items()]
    routes += [
        Route("/api/state", _answer(lambda: JSONResponse(desk.state()))),
        Route("/api/image.png", _answer(lambda: _image(desk))),
        Route("/api/labels", _answer(lambda: _binary(label_bytes(desk.session.labels)))),
        Route("/api/labels/{y0:int}/{x0:int}/{y1:int}/{x1:int}", _window(desk)),
        Route("/api/proposal", _answer(lambda: _proposal(desk))),
        Route("/api/overlay.png", _answer(lambda: _overlay(desk))),
        Route("/api/objects.csv", _answer(lambda: _table(desk))),
        Route("/api/labels.tif", _answer(lambda: _label_file(desk))),
        Route("/api/quit", quit_server, methods=["POST"]),
        *(Route(f"/api/{name}", _action(desk, name), methods=["POST"]) for name in ACTIONS),
    ]
    return Starlette(routes=routes)


def _file(name: str, kind: str) -> Any:
    data = (files("samzoo.zoo.annotation_page") / name).read_bytes()

    async def send(_: Request) -> Response:
        return Response(data, media_type=kind)

    return send


def _answer(make: Callable[[], Response]) -> Any:
    async def answer(_: Request) -> Response:
        return await run_in_threadpool(functools.partial(_told, make))

    return answer


def _action(desk: Desk, name: str) -> Any:
    async def act(request: Request) -> Response:
        body = await request.body()

        def run() -> Response:
            return JSONResponse(desk.act(name, parse_json(body, where="request")))

        return await run_in_threadpool(functools.partial(_told, run))

    return act


def _told(make: Callable[[], Response]) -> Response:
    """Answer, or tell in one sentence why not; never with a traceback."""
    try:
        return make()
    except SamzooError as error:
        status = 507 if isinstance(error, StorageError) else 400
        return JSONResponse({"error": str(error)}, status)
    except Exception as error:
        told = f"internal error ({type(error).__name__}); please report it"
        return JSONResponse({"error": told}, 500)


def _binary(data: bytes) -> Response:
    return Response(data, media_type="application/octet-stream")


def _image(desk: Desk) -> Response:
    return Response(image_png(desk.session.document.image), media_type="image/png")


def _window(desk: Desk) -> Any:
    async def send(request: Request) -> Response:
        y0, x0, y1, x1 = (int(request.path_params[name]) for name in ("y0", "x0", "y1", "x1"))

        def make() -> Response:
            height, width = desk.session.labels.shape
            if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
                raise InputError("window: does not lie in the image")
            return _binary(label_bytes(desk.session.labels, (y0, x0, y1, x1)))

        return await run_in_threadpool(functools.partial(_told, make))

    return send


def _proposal(desk: Desk) -> Response:
    proposal = desk.session.proposal
    if proposal is None:
        raise InputError("no automatic labels wait; segment first")
    return _binary(label_bytes(proposal))


def _overlay(desk: Desk) -> Response:
    document = desk.session.document
    return _download(desk, overlay_png(document.image, document.labels), "image/png", ".png")


def _table(desk: Desk) -> Response:
    labels = desk.session.labels
    table = LabelTable(labels.shape)
    table.add(labels)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "objects.csv"
        table.write(path)
        return _download(desk, path.read_bytes(), "text/csv; charset=utf-8", ".csv")


def _label_file(desk: Desk) -> Response:
    path = desk.session.document.place.labels
    if not path.exists():
        raise InputError("there is no label file yet; it is written with the first change")
    return _download(desk, path.read_bytes(), "image/tiff", ".tif")


def _download(desk: Desk, data: bytes, kind: str, suffix: str) -> Response:
    """Answer with a file; its name is the labels' own, with signs that a header may hold."""
    stem = desk.session.document.place.labels.stem
    plain = "".join(sign if sign.isascii() and sign.isalnum() else "_" for sign in stem) or "labels"
    headers = {"content-disposition": f'attachment; filename="{plain}_labels{suffix}"'}
    return Response(data, media_type=kind, headers=headers)
