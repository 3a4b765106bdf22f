"""Progress bars on stderr, from the callbacks that samzoo's functions take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from samzoo.runtime.errors import printable

if TYPE_CHECKING:
    from samzoo.runtime.formats.arrays import Progress


def say(line: str) -> None:
    """Tell a person something on stderr before the result is there."""
    sys.stderr.write(printable(f"samzoo: {line}\n"))
    sys.stderr.flush()


class ProgressBar:
    """A ``Progress`` callback that draws one bar per stage, if stderr is a terminal."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Draw progress; see ``samzoo.runtime.formats.arrays.Progress``."""
        if not sys.stderr.isatty():
            return  # before tqdm is imported, which takes longer than opening a package
        if self._bar is None or stage != self._stage:
            from tqdm import tqdm

            self.close()
            self._stage = stage
            self._bar = tqdm(desc=stage, total=total or None, file=sys.stderr, leave=False)
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


@contextmanager
def progress_bar() -> Iterator[ProgressBar]:
    """Yield a bar, and remove it at the end in any case."""
    bar = ProgressBar()
    try:
        yield bar
    finally:
        bar.close()


@contextmanager
def step_lines() -> Iterator[Progress]:
    """Yield a callback for work of few long steps: a bar, or without a terminal a line for each."""
    with progress_bar() as bar:

        def tell(stage: str, done: int, total: int) -> None:
            if sys.stderr.isatty():
                bar(stage, done, total)
            elif done < total:
                sys.stderr.write(f"samzoo: [{done + 1}/{total}] {stage}\n")
                sys.stderr.flush()

        yield tell


LINE_EVERY = 30.0
"""Seconds between lines of training without a terminal (own choice)."""


class TrainingBar:
    """Draws a training run's ``Status``: steps, loss, score, best score, time left.

    Without a terminal it writes lines instead: for the first step, for each new score, and
    otherwise every ``LINE_EVERY`` seconds. ``stage`` does the same for what follows the last step.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._told_at: float | None = None
        self._told_epoch = 0
        self._stages = ProgressBar()
        self._stage = ""

    def __call__(self, status: Any) -> None:
        """Draw a status of ``samzoo.training.fit.loop``."""
        if not sys.stderr.isatty():
            self._tell(status)
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                desc="train",
                total=status.total,
                initial=status.step - 1,
                file=sys.stderr,
                bar_format="{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )
        self._bar.n = status.step
        self._bar.set_postfix(_numbers(status))

    def _tell(self, status: Any) -> None:
        now = time.monotonic()
        new = self._told_at is None or status.epoch != self._told_epoch
        if not new and self._told_at is not None and now - self._told_at < LINE_EVERY:
            return
        self._told_at, self._told_epoch = now, status.epoch
        numbers = ", ".join(f"{name} {value}" for name, value in _numbers(status).items())
        say(
            f"epoch {status.epoch} of {status.epochs}, step {status.step} of {status.total}: "
            f"{numbers}"
        )

    def stage(self, stage: str, done: int, total: int) -> None:
        """Draw progress of a stage; see ``samzoo.runtime.formats.arrays.Progress``."""
        if sys.stderr.isatty():
            self.close()
            self._stages(stage, done, total)
            return
        now = time.monotonic()
        recent = self._told_at is not None and now - self._told_at < LINE_EVERY
        if stage == self._stage and done < total and recent:
            return
        self._told_at, self._stage = now, stage
        say(f"{stage}: {done} of {total}")

    def close(self) -> None:
        """End the bars, and leave that of the steps on the screen."""
        if self._bar is not None:
            self._bar.close()
        self._stages.close()


def _numbers(status: Any) -> dict[str, str]:
    fields = {"loss": f"{status.loss:.3f}"}
    if status.score is not None:
        fields["score"] = f"{status.score:.3f}"
    if status.best is not None:  # forgotten when corrections begin
        fields["best"] = f"{status.best:.3f}"
    fields["left"] = clock(status.seconds_left)
    return fields


def clock(seconds: float) -> str:
    """Format a time as minutes and seconds, or as hours, minutes and seconds.

    >>> clock(75), clock(3725)
    ('1:15', '1:02:05')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
