"""One image with its labels and their history, on the disk after every change.

In: an image, the label file, and a folder for the history. Out: labels that a person changes step
by step. A change is three files, written in this order, each whole or not at all: its record, the
state, the labels. Whichever was written last when a process was killed, the digests say what the
label file holds, and the next start goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, ImageError, InputError, SamzooError
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.fields import check_format
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.label_tags import PixelSizes
from samzoo.runtime.images.reading import write_labels
from samzoo.runtime.pixels.source_spec import identity

from .history import Change, History, labels_digest
from .label_file import locked_labels, read_editable

FORMAT, VERSION = "samzoo-annotation", 1

STATE = "state.json"


@dataclass(frozen=True)
class Place:
    """Where an annotated image lies.

    Attributes:
        image: The image file.
        labels: Its label file, ``.tif`` or ``.png``; it need not exist.
        folder: The folder of its state and history; it need not exist.
    """

    image: Path
    labels: Path
    folder: Path


class AnnotatedImage:
    """An image whose labels a person changes; a second one on the same labels is refused.

    Args:
        place: Where it lies.
        read: Reads the image's pixels; called again where the file seems to have changed.
        facts: What the label file's record says of how the labels were made.
        sizes: The image's pixel sizes by axis, which the label file gets too.

    Attributes:
        image: The pixels.
        notes: Sentences for the user about what was found.

    Raises:
        InputError: Another process has the labels open, or the image is not the one that was
            annotated.
        ImageError: The image or the labels cannot be used, or their sizes differ.
        SamzooError: A file is damaged or cannot be read.
    """

    def __init__(
        self,
        place: Place,
        read: Callable[[], Array],
        *,
        facts: dict[str, Any] | None = None,
        sizes: PixelSizes | None = None,
    ) -> None:
        self.place, self._read, self._facts, self._sizes = place, read, facts, sizes
        self.notes: list[str] = []
        self._history = History(place.folder / "history")
        self._held = ExitStack()
        self._held.enter_context(locked_labels(place.labels))
        try:
            self._open()
        except BaseException:
            self._held.close()
            raise

    def _open(self) -> None:
        self._image_state = identity(self.place.image)
        self.image = self._read()
        self.size: Size = (self.image.shape[0], self.image.shape[1])
        self._image_digest = pixels_digest(self.image)
        state = self._read_state()
        if state is not None and state["image_sha256"] != self._image_digest:
            raise self._other_image()
        exists = self.place.labels.exists()
        self._labels = self._read_labels()
        self._label_state = identity(self.place.labels) if exists else None
        self._digest = labels_digest(self._labels)
        self._cursor = self._found(state)
        self._low, self._high = self._history.reach(self._cursor, self._digest)

    def _read_state(self) -> dict[str, Any] | None:
        path = self.place.folder / STATE
        if not path.exists():
            return None
        state = read_json(path)
        check_format(state, FORMAT, VERSION, where=str(path))
        kinds = {"image_sha256": str, "labels_sha256": str, "changes": int}
        for key, kind in kinds.items():
            if not isinstance(state.get(key), kind):
                raise FormatError(
                    f"{path}: {key}: is missing or damaged; delete the file to go on with the "
                    "labels as they are, without undo"
                )
        return state

    def _read_labels(self) -> Labels2D:
        if not self.place.labels.exists():
            return np.zeros(self.size, np.int32)
        return read_editable(self.place.labels, self.size, image=self.place.image)

    def _found(self, state: dict[str, Any] | None) -> int:
        """Return the number of changes that led to the labels, as the digests say it."""
        if state is None:
            return 0
        number = int(state["changes"])
        if state["labels_sha256"] == self._digest:
            return number
        after, here = self._history.digests(number + 1), self._history.digests(number)
        if after is not None and after[1] == self._digest:
            return number + 1
        if here is not None and here[0] == self._digest:
            return number - 1
        self.notes.append(
            f"{self.place.labels}: was changed or removed outside of this session; it is taken as "
            "it is now, and earlier changes cannot be undone"
        )
        return 0

    @property
    def labels(self) -> Labels2D:
        """The labels, ``(height, width)`` int32; do not change the array."""
        return self._labels

    @property
    def can_undo(self) -> bool:
        """Whether there is a change to undo."""
        return self._cursor > self._low

    @property
    def can_redo(self) -> bool:
        """Whether there is an undone change to make again."""
        return self._cursor < self._high

    def commit(self, kind: str, after: Labels2D) -> bool:
        """Change the labels; when this returns, the change is on the disk.

        Args:
            kind: What is done, such as ``add``.
            after: The labels afterwards.

        Returns:
            False if the labels are the same already.

        Raises:
            InputError: The image or the label file was changed by another program.
            StorageError: The disk is full or the folder cannot be written; nothing is changed.
        """
        change = Change.between(kind, self._labels, after)
        if change is None:
            return False
        self.check_unchanged()
        self._history.write(self._cursor + 1, change)
        self._save(after, change.digests[1], self._cursor + 1)
        self._low, self._high = self._history.reach(self._cursor, self._digest)
        return True

    def undo(self) -> str:
        """Undo the last change.

        Returns:
            What it was, such as ``add``.

        Raises:
            InputError: There is nothing to undo, or as for ``commit``.
            SamzooError: Its record is damaged, or as for ``commit``.
        """
        if not self.can_undo:
            raise InputError("there is nothing to undo")
        self.check_unchanged()
        change = self._history.read(self._cursor)
        self._save(change.applied(self._labels, undo=True), change.digests[0], self._cursor - 1)
        return change.kind

    def redo(self) -> str:
        """Make the change again that was undone last.

        Returns:
            What it was, such as ``add``.

        Raises:
            InputError: There is nothing to make again, or as for ``commit``.
            SamzooError: Its record is damaged, or as for ``commit``.
        """
        if not self.can_redo:
            raise InputError("there is nothing to do again")
        self.check_unchanged()
        change = self._history.read(self._cursor + 1)
        self._save(change.applied(self._labels), change.digests[1], self._cursor + 1)
        return change.kind

    def _save(self, labels: Labels2D, digest: str, number: int) -> None:
        try:
            self._write_state(digest, number)
            write_labels(self.place.labels, labels, facts=self._facts, sizes=self._sizes)
        except SamzooError:
            with suppress(SamzooError):  # the next start finds its place without it, too
                self._write_state(self._digest, self._cursor)
            raise
        self._labels, self._digest, self._cursor = labels, digest, number
        self._label_state = identity(self.place.labels)

    def _write_state(self, digest: str, number: int) -> None:
        state = {
            "format": {"name": FORMAT, "version": VERSION},
            "image": self.place.image.name, "image_sha256": self._image_digest,
            "labels_sha256": digest, "changes": number,
        }  # fmt: skip
        write_json(self.place.folder / STATE, state)

    def check_unchanged(self) -> None:
        """Refuse to go on with an image or labels that another program has changed meanwhile.

        Raises:
            InputError: One of the files was changed; nothing of it is overwritten.
            SamzooError: One of the files is gone, or cannot be read.
        """
        state = identity(self.place.image)
        if state != self._image_state:
            if pixels_digest(self._read()) != self._image_digest:
                raise self._other_image()
            self._image_state = state
        exists = self.place.labels.exists()
        label_state = identity(self.place.labels) if exists else None
        if label_state != self._label_state:
            if labels_digest(self._read_labels()) != self._digest:
                raise InputError(
                    f"{self.place.labels}: was changed by another program while it was open here, "
                    "and is left as it is; open the image again to go on with those labels"
                )
            self._label_state = label_state

    def _other_image(self) -> ImageError:
        return ImageError(
            f"{self.place.image}: its pixels are not those that were annotated; bring the old "
            f"image back, or, to annotate this one anew, move {self.place.labels} and "
            f"{self.place.folder} away"
        )

    def close(self) -> None:
        """Let other processes open the labels."""
        self._held.close()


def pixels_digest(image: Array) -> str:
    """Return the sha256 of an image's pixels, with their dtype and shape."""
    digest = hashlib.sha256(f"{image.shape} {image.dtype.str}".encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()
