"""The server on 127.0.0.1: started on a free port, ended by the page, by Ctrl-C, or by a signal.

In: a session. Out: an address with a token, until somebody quits.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

import uvicorn

from samzoo.runtime.errors import StorageError
from samzoo.zoo.annotation.session import AnnotationSession

from .actions import Desk
from .application import make_application
from .guards import Guard, new_token

HOST = "127.0.0.1"

PATIENCE = 2
"""Seconds that open requests get when the server ends (own choice)."""

MOST_CONNECTIONS = 64
"""Connections at once (own choice: a browser opens six)."""


def serve(session: AnnotationSession, *, port: int = 0, ready: Callable[[str], None]) -> None:
    """Serve the page of a session until somebody quits, and close the session.

    Args:
        session: The session.
        port: The port; 0 takes a free one.
        ready: Called with the address when requests are answered.

    Raises:
        StorageError: The port is taken.
    """
    desk = Desk(session)
    try:
        with _listening(port) as listener:
            number, token = int(listener.getsockname()[1]), new_token()

            def stop() -> None:
                server.should_exit = True

            app = Guard(make_application(desk, stop=stop), token=token, port=number)
            config = uvicorn.Config(
                app, log_config=None, access_log=False, lifespan="off", ws="none",
                server_header=False, date_header=False, proxy_headers=False,
                timeout_graceful_shutdown=PATIENCE, limit_concurrency=MOST_CONNECTIONS,
            )  # fmt: skip
            server = uvicorn.Server(config)
            desk.preparation.start()
            ready(f"http://{HOST}:{number}/{token}/")
            server.run(sockets=[listener])
    finally:
        desk.preparation.end()
        session.close()


def _listening(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(MOST_CONNECTIONS)
    except OSError as error:
        listener.close()
        raise StorageError(
            f"--port {port}: cannot be used ({error.strerror or error}); omit it to take a free one"
        ) from error
    return listener
