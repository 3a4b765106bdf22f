"""The verdict on each image of a run, and what all verdicts together mean.

In: what happened to each image. Out: rows for reports, sentences, and an exit code.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from samzoo.runtime.errors import InputError, MissingDependencyError, NotFoundError, SamzooError

DONE: Final = "done"
SKIPPED: Final = "skipped"
FAILED: Final = "failed"

DONE_BEFORE = "done already"
"""Message of an image that an earlier run has segmented."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What happened to one file.

    Attributes:
        image: The file, as the user named it.
        shown: Its short name.
        verdict: ``done``, ``skipped`` or ``failed``.
        message: Why it was skipped or failed; empty if it was segmented.
        labels: Path of its labels, if there are any.
        overlay: Path of its overlay, if there is one.
        objects: Number of objects, if it has labels.
        seconds: How long it took.
        notes: Sentences for the user about the image.
        status: Exit code of the failure alone: 1 our own error, 2 input, 3 reading or writing.
        more: Further values for the JSON answer.
        estimate: Which diameter was estimated, in a few words.
    """

    image: Path
    shown: str
    verdict: Literal["done", "skipped", "failed"]
    message: str = ""
    labels: Path | None = None
    overlay: Path | None = None
    objects: int | None = None
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    status: int = 0
    more: tuple[tuple[str, Any], ...] = ()
    estimate: str = ""

    @property
    def has_labels(self) -> bool:
        """True if the image is segmented, now or before."""
        return self.labels is not None and self.verdict != FAILED

    def row(self) -> dict[str, Any]:
        """Return the values that are known, as JSON reads them."""
        values = {
            "image": str(self.image),
            "verdict": self.verdict,
            "message": self.message or None,
            "labels": None if self.labels is None else str(self.labels),
            "overlay": None if self.overlay is None else str(self.overlay),
            "objects": self.objects,
            "seconds": self.seconds,
            "notes": list(self.notes) or None,
            **dict(self.more),
        }
        return {key: value for key, value in values.items() if value is not None}

    def line(self) -> str:
        """Return the verdict in one line, as ``a.tif: 26 objects, 2.1 s``."""
        if self.verdict == FAILED:
            return f"{self.shown}: failed: {self.message}"
        count = "" if self.objects is None else f"{self.objects} objects"
        if self.objects == 1:
            count = "1 object"
        if self.verdict == SKIPPED:
            return f"{self.shown}: skipped, {self.message}" + (f" ({count})" if count else "")
        estimate = f"{self.estimate}, " if self.estimate else ""
        return f"{self.shown}: {count}, {estimate}{self.seconds:.1f} s"


def without_path(sentence: str, image: Path) -> str:
    """Return a sentence about an image without its path at the beginning, which stands beside it.

    >>> without_path("in/a.tif: the file is empty", Path("in/a.tif"))
    'the file is empty'
    """
    for path in (image, os.path.realpath(image)):
        sentence = sentence.removeprefix(f"{path}: ")
    return sentence


def failure(image: Path, shown: str, error: Exception, *, seconds: float | None = None) -> Verdict:
    """Return the verdict on an image that an error stopped."""
    if isinstance(error, MemoryError):
        message, status = "needs more memory than there is; use a smaller image or level", 2
    elif isinstance(error, (InputError, MissingDependencyError, NotFoundError)):
        message, status = str(error), 2
    elif isinstance(error, (SamzooError, OSError)):
        message, status = str(error), 3
    else:
        message, status = f"internal error ({type(error).__name__}: {error}); please report it", 1
    return Verdict(
        image=image, shown=shown, verdict=FAILED, message=without_path(message, image),
        seconds=seconds, status=status,
    )  # fmt: skip


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return what a run's verdicts mean: 0 all done, 4 some failed; if all failed, why.

    If all failed, an error of our own counts most (1), then the input (2), then the disk (3).
    """
    found = list(verdicts)
    failures = [each.status for each in found if each.verdict == FAILED]
    if not failures:
        return 0
    return 4 if any(each.has_labels for each in found) else min(failures)


def summary(verdicts: Sequence[Verdict]) -> list[str]:
    """Return lines that say how many images are done, and what failed and why."""
    failed = [each for each in verdicts if each.verdict == FAILED]
    before = [each for each in verdicts if each.verdict == SKIPPED and each.has_labels]
    done = [each for each in verdicts if each.verdict == DONE]
    counts = [f"{len(done)} done"]
    counts += [f"{len(before)} done already"] if before else []
    counts += [f"{len(failed)} failed"] if failed else []
    return [", ".join(counts), *(f"  {each.line()}" for each in failed)]


def left_out_line(left_out: Sequence[Verdict]) -> list[str]:
    """Return a line for each reason why files were no images, with up to five of their names."""
    lines = []
    for reason, count in Counter(each.message for each in left_out).items():
        names = [each.shown for each in left_out if each.message == reason]
        more = f" and {count - 5} more" if count > 5 else ""
        lines.append(f"skipped {', '.join(names[:5])}{more}: {reason}")
    return lines
