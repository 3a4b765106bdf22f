"""A session of annotation: what every front end shares, a page in a browser or a plugin.

In: a collection of images, a model, and what a person does. Out: labels on the disk after each
accepted change, and what there is to draw. No torch.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from samzoo.runtime.budgets import MAX_PIXELS
from samzoo.runtime.engine.object_scale import Diameter, check_diameter
from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.formats.arrays import Array, Labels2D, Masks, Progress
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.pixel_size import pixel_sizes

from .annotated_image import AnnotatedImage
from .collection import Collection
from .edits import add, adopt, check_ids, delete, merge, replace
from .sight import Candidate, Sight
from .splitting import split


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Which plane of each image is annotated, as in ``SourceSpec``, and how large one may be."""

    level: int | None = None
    series: int | None = None
    channel: int | str | None = None
    plane: int | None = None
    most_pixels: int = MAX_PIXELS


def _quiet(stage: str, done: int, total: int) -> None:
    """Show no progress."""


class AnnotationSession:
    """A person at work on the images of a collection, one at a time.

    Actions that change labels return when the change is on the disk. They may be called from any
    thread; one at a time is at work.

    Args:
        collection: The images.
        model: The model.
        model_name: Its name, for the record in the label files.
        diameter: Diameter of the objects, as in ``Model.embed``.
        reading: Which plane of each image.

    Attributes:
        number: The image that is open, from 0.
        candidate: The mask that waits to be accepted; None for none.
        proposal: Automatic labels that wait to be accepted; None for none.

    Raises:
        InputError: The model does not take the diameter.
        SamzooError: The first image cannot be opened.

    Example:
        >>> from pathlib import Path
        >>> from samzoo.zoo import load
        >>> from samzoo.zoo.annotation.collection import Collection
        >>> from samzoo.zoo.annotation.session import AnnotationSession
        >>> session = AnnotationSession(Collection(Path("images")), load())  # doctest: +SKIP
        >>> session.prepare()  # doctest: +SKIP
        >>> session.prompt(points=[(59, 30)], point_labels=[1])  # doctest: +SKIP
        >>> session.accept()  # doctest: +SKIP
    """

    def __init__(
        self,
        collection: Collection,
        model: Model,
        *,
        model_name: str = "",
        diameter: Diameter = None,
        reading: Reading | None = None,
    ) -> None:
        check_diameter(model.config, diameter)
        self.collection, self.model, self.model_name = collection, model, model_name
        self.diameter: Diameter = diameter
        self._reading = reading or Reading()
        self._lock = threading.RLock()
        self._document: AnnotatedImage | None = None
        self._sight: Sight | None = None
        self._notes: list[str] = []
        self.number = collection.last
        self.candidate: Candidate | None = None
        self.proposal: Labels2D | None = None
        self.open(self.number)

    @property
    def document(self) -> AnnotatedImage:
        """The image that is open, with its labels and history.

        Raises:
            InputError: None is open.
        """
        if self._document is None:
            raise InputError("no image is open")
        return self._document

    @property
    def labels(self) -> Labels2D:
        """The labels of the image that is open; do not change the array."""
        return self.document.labels

    @property
    def sight(self) -> Sight | None:
        """What the model sees in the image; None before ``prepare``."""
        return self._sight

    @property
    def notes(self) -> list[str]:
        """Sentences for the user about the image that is open."""
        seen = [] if self._sight is None else self._sight.notes
        return [*self._notes, *self.document.notes, *seen]

    def open(self, number: int) -> None:
        """Open an image; another one that is open stays so if that fails.

        Args:
            number: Which one, from 0. The one that is open is read again.

        Raises:
            InputError: There is no such image, or another session has it open.
            SamzooError: The image or its labels cannot be used; see ``AnnotatedImage``.
        """
        with self._lock:
            place, notes = self.collection.place(number), list[str]()
            again = self._document is not None and number == self.number
            if again and self._document is not None:
                self._document.close()
                self._document = None
            facts = {"annotated": True, **({"model": self.model_name} if self.model_name else {})}

            def read() -> Array:
                return self._pixels(number, notes)

            sizes = pixel_sizes(self._spec(number))
            document = AnnotatedImage(place, read, facts=facts, sizes=sizes)
            try:
                self.collection.remember(number)
            except BaseException:
                document.close()
                raise
            if self._document is not None:
                self._document.close()
            self._document, self._sight, self.number = document, None, number
            self._notes = list(dict.fromkeys(notes))
            self.candidate = self.proposal = None

    def _spec(self, number: int) -> SourceSpec:
        chosen, path = self._reading, str(self.collection.images[number])
        return SourceSpec(path, chosen.level or 0, chosen.series, chosen.channel, chosen.plane)

    def _pixels(self, number: int, notes: list[str]) -> Array:
        path, most = self.collection.images[number], self._reading.most_pixels
        with closing(open_source(self._spec(number))) as source:
            height, width = source.size
            if height * width > most:
                raise ImageError(
                    f"{path}: has {width} x {height} pixels, allowed here are "
                    f"{most} in all; cut out the part to annotate, or choose a "
                    "smaller level of a pyramid with --level"
                )
            pixels = source.whole()
            notes += source.notes
        return pixels

    def next(self, step: int = 1) -> None:
        """Open the next image, or with -1 the one before.

        Raises:
            InputError: This is the last image, or the first.
            SamzooError: As for ``open``.
        """
        with self._lock:
            if not 0 <= self.number + step < len(self.collection.images):
                raise InputError(f"this is the {'last' if step > 0 else 'first'} image")
            self.open(self.number + step)

    def prepare(self, diameter: Diameter | str = "", *, progress: Progress = _quiet) -> Sight:
        """Embed the image that is open, unless that is done.

        Args:
            diameter: Another diameter of the objects from now on; empty for the one in use.
            progress: As for ``Sight``; what it raises ends the work, and nothing is lost.

        Raises:
            SamzooError: As for ``Sight``.
        """
        with self._lock:
            if diameter != "":
                check_diameter(self.model.config, diameter)  # type: ignore[arg-type]
                if diameter != self.diameter:
                    self._sight = None
                self.diameter = diameter  # type: ignore[assignment]
            if self._sight is None:
                asked = str(self.diameter)
                known = self.collection.diameter(self.number, asked)
                self._sight = Sight(
                    self.model, self.document.image, self.collection.store,
                    diameter=self.diameter if known is None else known, progress=progress,
                )  # fmt: skip
                found = self._sight.scale.changed
                self.collection.remember(self.number, asked, found and float(found))
                self.candidate = self.proposal = None
            return self._sight

    def prompt(
        self,
        *,
        points: Sequence[tuple[float, float]] = (),
        point_labels: Sequence[int] = (),
        box: Sequence[float] | None = None,
        mask: Masks | None = None,
    ) -> Candidate:
        """Segment what a person means; the mask waits for ``accept``.

        Raises:
            InputError: As for ``Sight.prompt``.
        """
        with self._lock:
            sight = self.prepare()
            self.candidate = None
            self.candidate = sight.prompt(
                points=points, point_labels=point_labels, box=box, mask=mask
            )
            return self.candidate

    def automatic(self, thresholds: Mapping[str, Any] | None = None) -> Labels2D:
        """Segment automatically; the labels wait for ``accept_automatic``.

        Raises:
            InputError: As for ``Sight.automatic``.
        """
        with self._lock:
            self.proposal = self.prepare().automatic(thresholds)
            return self.proposal

    def accept(self, *, label: int | None = None, over: bool = False) -> int:
        """Take the mask that waits as a new object, or as the new mask of one.

        Args:
            label: The object that gets the mask; None for a new one.
            over: The mask takes pixels of other objects; else they keep theirs.

        Returns:
            The object's label.

        Raises:
            InputError: No mask waits, or there is no such object, or as for ``edits.add``.
            SamzooError: As for ``AnnotatedImage.commit``; the mask still waits.
        """
        with self._lock:
            if self.candidate is None:
                raise InputError("no mask waits to be accepted; prompt first")
            part = self.candidate.part
            if label is None:
                after, label = add(self.labels, part, over=over)
                self.document.commit("add", after)
            else:
                self.document.commit("replace", replace(self.labels, label, part, over=over))
            self.candidate = None
            return label

    def accept_automatic(self, *, keep: bool) -> None:
        """Take the automatic labels that wait.

        Args:
            keep: What is there stays, and only objects beside it are added.

        Raises:
            InputError: No automatic labels wait.
            SamzooError: As for ``AnnotatedImage.commit``; they still wait.
        """
        with self._lock:
            if self.proposal is None:
                raise InputError("no automatic labels wait; segment first")
            self.document.commit("automatic", adopt(self.labels, self.proposal, keep=keep))
            self.proposal = None

    def discard(self) -> None:
        """Forget the mask and the automatic labels that wait."""
        with self._lock:
            self.candidate = self.proposal = None

    def delete(self, ids: Sequence[int]) -> None:
        """Delete objects.

        Raises:
            InputError: There is no such object.
            SamzooError: As for ``AnnotatedImage.commit``.
        """
        with self._lock:
            self.document.commit("delete", delete(self.labels, ids))

    def merge(self, ids: Sequence[int]) -> None:
        """Make several objects one.

        Raises:
            InputError: There is no such object, or fewer than two are named.
            SamzooError: As for ``AnnotatedImage.commit``.
        """
        with self._lock:
            self.document.commit("merge", merge(self.labels, ids))

    def split(self, label: int, line: Sequence[tuple[float, float]]) -> list[int]:
        """Cut an object along a line; returns the labels of its pieces.

        Raises:
            InputError: There is no such object, or the line does not cut it in two.
            SamzooError: As for ``AnnotatedImage.commit``.
        """
        with self._lock:
            after, pieces = split(self.labels, label, line)
            self.document.commit("split", after)
            return pieces

    def undo(self) -> str:
        """Undo the last change; returns what it was."""
        with self._lock:
            return self.document.undo()

    def redo(self) -> str:
        """Make the change again that was undone last; returns what it was."""
        with self._lock:
            return self.document.redo()

    def object_mask(self, label: int) -> Masks:
        """Return the mask of an object, ``(height, width)`` boolean, to prompt with.

        Raises:
            InputError: There is no such object.
        """
        check_ids(self.labels, [label])
        mask: Masks = self.labels == label
        return mask

    def close(self) -> None:
        """Let other sessions open the image. What was accepted is on the disk."""
        with self._lock:
            if self._document is not None:
                self._document.close()
                self._document = None
