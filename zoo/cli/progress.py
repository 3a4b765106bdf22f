"""Progress bars on stderr, from the callbacks that samzoo's functions take."""

from __future__ import annotations

import sys
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


class TrainingBar:
    """Draws a training run's ``Status``: steps, loss, score, best score, time left."""

    def __init__(self) -> None:
        self._bar: Any = None

    def __call__(self, status: Any) -> None:
        """Draw a status of ``samzoo.training.fit.loop``."""
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(
                desc="train",
                total=status.total,
                initial=status.step - 1,
                file=sys.stderr,
                disable=None,
                bar_format="{desc} {bar} {n_fmt}/{total_fmt} [{elapsed}{postfix}]",
            )
        fields = {"loss": f"{status.loss:.3f}"}
        if status.score is not None:
            fields["score"] = f"{status.score:.3f}"
        if status.best is not None:  # forgotten when corrections begin
            fields["best"] = f"{status.best:.3f}"
        minutes, seconds = divmod(int(status.seconds_left), 60)
        fields["left"] = f"{minutes}:{seconds:02d}"
        self._bar.n = status.step
        self._bar.set_postfix(fields)

    def close(self) -> None:
        """End the bar and leave it on the screen."""
        if self._bar is not None:
            self._bar.close()
