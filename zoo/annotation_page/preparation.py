"""The embedding of an image while the page shows how far it is, and may stop it.

In: a session. Out: the session, prepared by a thread of its own.
"""

from __future__ import annotations

import threading

from samzoo.runtime.engine.object_scale import Diameter
from samzoo.runtime.errors import SamzooError
from samzoo.zoo.annotation.session import AnnotationSession


class Stopped(Exception):
    """The person stopped the work."""


class Preparation:
    """Embeds images in the background, one at a time.

    Args:
        session: The session.

    Attributes:
        progress: (stage, done, total) while it is at work; None otherwise.
        error: The sentence with which the last work failed; empty if it did not.
    """

    def __init__(self, session: AnnotationSession) -> None:
        self._session = session
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self.progress: tuple[str, int, int] | None = None
        self.error = ""

    def start(self, diameter: Diameter | str = "") -> None:
        """Begin to embed the image that is open, unless that is going on.

        Args:
            diameter: As for ``AnnotationSession.prepare``.
        """
        if self.progress is not None:
            return
        self._stop.clear()
        self.error, self.progress = "", ("begin", 0, 0)
        self._thread = threading.Thread(target=self._work, args=(diameter,), daemon=True)
        self._thread.start()

    def _work(self, diameter: Diameter | str) -> None:
        try:
            self._session.prepare(diameter, progress=self._tell)
        except Stopped:
            self.error = "stopped; what was embedded is kept"
        except SamzooError as error:
            self.error = str(error)
        except Exception as error:  # told on the page; the session goes on
            self.error = f"internal error ({type(error).__name__}: {error})"
        finally:
            self.progress = None

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Stopped
        self.progress = stage, done, total

    def stop(self) -> None:
        """Stop after the tile that is at work."""
        self._stop.set()

    def end(self) -> None:
        """Stop, and wait until the work has ended."""
        self.stop()
        if self._thread is not None:
            self._thread.join()
        self.error = ""
