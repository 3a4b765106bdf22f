"""``samzoo segment`` for many images: lines on stderr as they are done, one result at the end.

In: a ``FolderRun``, and how to open the model. Out: the result, with the exit code.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from samzoo.runtime.batch.folder_run import FolderRun
from samzoo.runtime.batch.inputs import Inputs
from samzoo.runtime.batch.names import printable
from samzoo.runtime.batch.tables import COUNTS
from samzoo.runtime.batch.verdicts import (
    DONE,
    FAILED,
    SKIPPED,
    Verdict,
    exit_code,
    left_out_line,
    summary,
)
from samzoo.runtime.errors import InputError, StorageError, WriteError
from samzoo.runtime.formats.digest import json_digest
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.model import Model
from samzoo.runtime.pixels.kinds import SUFFIXES
from samzoo.zoo.cli.progress import progress_bar
from samzoo.zoo.cli.verb import Result

ESTIMATE_AFTER = 3
"""Images that are segmented before the time for the others is estimated (own choice)."""

ESTIMATE_SECONDS = 30.0
"""An estimate comes sooner if the first images take this long, and only if the others take longer
than this (own choice)."""

MOST_NAMED = 3
"""Inputs that a message names (own choice)."""

AGAIN = "run the same command again to go on"


def model_settings(model: Model) -> dict[str, Any]:
    """Return what labels depend on in a model: weights, thresholds, and the graphs' precision."""
    graphs: list[str] = []
    if model.spec is not None and model.adapter is None:
        manifest = Manifest.read(Path(model.spec.package))
        graphs = sorted(entry.sha256 for entry in manifest.files if entry.path.endswith(".onnx"))
    digest = json_digest({"config": to_json(model.config), "graphs": graphs})
    return {"adapter": model.adapter, "model": digest}


def segment_folder(run: FolderRun, model: Model) -> Result:
    """Segment all images of a run.

    Returns:
        The result: a row for each file that the user named, the places of the tables, and ``exit``.

    Raises:
        InputError: There is no image, or the folder holds results of other settings.
        KeyboardInterrupt: The user stopped the run; the tables list what is done.
    """
    left_out = _left_out(run.inputs)
    for line in left_out_line(left_out):
        _say(line)
    if not run.inputs.images and not run.inputs.unmatched:
        named = ", ".join(run.inputs.names[:MOST_NAMED])
        raise InputError(
            f"{named}: holds no image"
            + (" but those that were skipped" if left_out else "")
            + f"; looked for {', '.join(SUFFIXES)}"
        )
    run.check()
    run.begin()
    verdicts = _unmatched(run.inputs)
    stopped: StorageError | None = None
    try:
        _segment(run, model, verdicts)
        run.write_tables(verdicts)
    except KeyboardInterrupt:
        _summarise(verdicts)
        run.write_tables(verdicts)
        raise KeyboardInterrupt(AGAIN) from None
    except WriteError as error:
        stopped = error
    _summarise(verdicts)
    result = _result(run, model, [*verdicts, *left_out])
    if stopped is not None:
        _say(f"{stopped}; make room, or see that the folder can be written, and {AGAIN}")
        result.update(error=str(stopped), exit=3)
    return result


def _segment(run: FolderRun, model: Model, verdicts: list[Verdict]) -> None:
    total = len(run.inputs.images)
    clock = _Clock(total)
    for line in verdicts:
        _say(line.line())
    with progress_bar() as progress:
        for number, verdict in enumerate(run.verdicts(model, progress), start=1):
            progress.close()
            verdicts.append(verdict)
            _write(f"[{number}/{total}] {verdict.line()}")
            for note in verdict.notes:
                _say(f"{verdict.shown}: {note}")
            clock.count(verdict, total - number)


class _Clock:
    """Estimates, once, how long the rest takes."""

    def __init__(self, total: int) -> None:
        self._told = total < 2
        self._seconds: list[float] = []

    def count(self, verdict: Verdict, left: int) -> None:
        if self._told or verdict.verdict != DONE or verdict.seconds is None:
            return
        self._seconds.append(verdict.seconds)
        if len(self._seconds) < ESTIMATE_AFTER and sum(self._seconds) < ESTIMATE_SECONDS:
            return
        self._told = True
        estimate = left * sum(self._seconds) / len(self._seconds)
        if estimate > ESTIMATE_SECONDS:
            _say(f"about {duration(estimate)} for the other {left} images")


def duration(seconds: float) -> str:
    """Return a time in the unit that people would use.

    >>> duration(45), duration(1400), duration(30000)
    ('45 s', '23 min', '8 h 20 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def _say(line: str) -> None:
    _write(f"samzoo: {line}")


def _write(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _summarise(verdicts: list[Verdict]) -> None:
    for number, line in enumerate(summary(verdicts)):
        _write(line if number else f"samzoo: {line}")


def _left_out(inputs: Inputs) -> list[Verdict]:
    return [
        Verdict(
            image=each.path, shown=printable(each.path.name), verdict=SKIPPED, message=each.reason
        )
        for each in inputs.left_out
    ]


def _unmatched(inputs: Inputs) -> list[Verdict]:
    return [
        Verdict(image=Path(name), shown=name, verdict=FAILED, message="no file matches", status=2)
        for name in inputs.unmatched
    ]


def _result(run: FolderRun, model: Model, verdicts: list[Verdict]) -> Result:
    paths = [str(each.labels) for each in verdicts if each.has_labels]
    counts = {
        "done": sum(each.verdict == DONE for each in verdicts),
        "skipped": sum(each.verdict == SKIPPED for each in verdicts),
        "failed": sum(each.verdict == FAILED for each in verdicts),
    }
    result: Result = {
        "text": "\n".join(map(printable, paths)),
        "output": str(run.folder),
        **counts,
        "images": [each.row() for each in verdicts],
    }
    if model.adapter is not None:
        result["adapter"] = model.adapter
    if run.overlays is not None:
        result["overlays"] = str(run.overlays)
    if run.task.outlines:
        result["outlines"] = str(run.outlines)
    if run.table is not None:
        result["table"] = str(run.table)
        result["counts"] = str(run.folder / COUNTS)
    return {**result, "exit": exit_code(verdicts)}
