"""The changes of an image's labels, one small file each, so that undo survives a kill.

In: labels before and after a change. Out: records in a folder, ``000001.npz`` and so on. A record
holds the window that changed, before and after, and the digests of the whole labels, by which the
next start finds its place.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from samzoo.runtime.errors import FormatError, StorageError
from samzoo.runtime.formats.arrays import Labels2D
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.runtime.pixels.reader import Window

from .edits import changed_window

MOST_CHANGES = 500
"""Changes that can be undone; older ones are forgotten (own choice)."""


@dataclass(frozen=True)
class Change:
    """One change of the labels.

    Attributes:
        kind: What was done, such as ``add``.
        window: (y0, x0, y1, x1) of the pixels that differ.
        before: The labels in the window before.
        after: The labels in the window afterwards.
        digests: ``labels_digest`` of the whole labels, before and after.
    """

    kind: str
    window: Window
    before: Labels2D
    after: Labels2D
    digests: tuple[str, str]

    @classmethod
    def between(cls, kind: str, before: Labels2D, after: Labels2D) -> Change | None:
        """Describe what changed; None if nothing did."""
        window = changed_window(before, after)
        if window is None:
            return None
        y0, x0, y1, x1 = window
        digests = labels_digest(before), labels_digest(after)
        return cls(kind, window, before[y0:y1, x0:x1], after[y0:y1, x0:x1], digests)

    def applied(self, labels: Labels2D, *, undo: bool = False) -> Labels2D:
        """Return labels with the change made, or undone."""
        y0, x0, y1, x1 = self.window
        changed = labels.copy()
        changed[y0:y1, x0:x1] = self.before if undo else self.after
        return changed


def labels_digest(labels: Labels2D) -> str:
    """Return the sha256 of labels, by their size and values and not by the file they lie in."""
    digest = hashlib.sha256(f"{labels.shape}".encode())
    digest.update(np.ascontiguousarray(labels, "<i4").data)
    return digest.hexdigest()


class History:
    """The records of one image's changes.

    Args:
        folder: The folder of the records; it is made when the first is written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, number: int, change: Change) -> None:
        """Write a record, and forget the one that is too old.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        about = {
            "kind": change.kind, "window": change.window, "digests": change.digests,
        }  # fmt: skip
        data = io.BytesIO()
        np.savez_compressed(
            data, before=change.before, after=change.after,
            about=np.frombuffer(json.dumps(about).encode(), np.uint8),
        )  # fmt: skip
        write_bytes(self._path(number), data.getvalue())
        with suppress(OSError):
            self._path(number - MOST_CHANGES).unlink(missing_ok=True)

    def read(self, number: int) -> Change:
        """Read a record.

        Raises:
            FormatError: It is damaged, or not there.
            StorageError: It cannot be read.
        """
        path = self._path(number)
        try:
            with path.open("rb") as data, np.load(data, allow_pickle=False) as file:
                about = json.loads(file["about"].tobytes())
                before, after = file["before"], file["after"]
            y0, x0, y1, x1 = (int(each) for each in about["window"])
            first, last = (str(each) for each in about["digests"])
            for values in (before, after):
                if values.dtype != np.int32 or values.shape != (y1 - y0, x1 - x0):
                    raise ValueError(f"{values.dtype} {values.shape} in {about['window']}")
            return Change(str(about["kind"]), (y0, x0, y1, x1), before, after, (first, last))
        except FileNotFoundError as error:
            raise FormatError(f"{path}: is missing, so this change cannot be undone") from error
        except OSError as error:
            raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(
                f"{path}: is damaged ({error}), so this change cannot be undone; delete it"
            ) from error

    def digests(self, number: int) -> tuple[str, str] | None:
        """Return the digests of a record; None if there is none, or it is damaged."""
        if not self._path(number).is_file():
            return None
        try:
            return self.read(number).digests
        except FormatError:
            return None

    def reach(self, number: int, digest: str) -> tuple[int, int]:
        """Return the numbers of the first and last state that undo and redo come to.

        Args:
            number: Changes made so far.
            digest: The digest of the labels.
        """
        low, high, below, above = number, number, digest, digest
        while (found := self.digests(low)) is not None and found[1] == below:
            low, below = low - 1, found[0]
        while (found := self.digests(high + 1)) is not None and found[0] == above:
            high, above = high + 1, found[1]
        return low, high

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"
