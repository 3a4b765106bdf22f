"""A run of a study, made from where it stopped: trained, exported, scored.

In: a planned run. Out: its report and what it cost, in its folder.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.runtime.labels.lists import Entry
from samzoo.training.fit.readiness import LAST, PREVIOUS
from samzoo.zoo.recipes.steps import IMAGES, PACKAGE, REPORT, RUN, TRAINING, is_trained

from .image_choice import chosen_images, write_image_list
from .plan import PlannedRun, export_words, score_words, train_words, training_config
from .processes import Ended
from .study import Study

LOG, COST = "log.txt", "cost.json"
"""Names in the folder of a run: what its processes said, and the memory that they took."""

Execute = Callable[[Sequence[str], Path], Ended]


def is_done(run: PlannedRun) -> bool:
    """Tell whether a run has its scores."""
    return (run.folder / REPORT).is_file()


def make_run(
    study: Study,
    run: PlannedRun,
    listed: Sequence[Entry],
    *,
    execute: Execute,
    say: Callable[[str], object],
) -> None:
    """Do what is not done yet of a run.

    The adapter, log and report stay; the package and the checkpoints, which take most of the room,
    are removed when there is a report.

    Args:
        study: The study.
        run: One of its runs.
        listed: The images of the run's data.
        execute: Runs a command of samzoo, and adds what it says to a file.
        say: Called with each step.

    Raises:
        InputError: A step failed; the message has what it said.
        StorageError: A file cannot be written.
    """
    folder, log = run.folder, run.folder / LOG
    trained = folder / RUN
    if is_done(run):
        _tidy(folder)
        return
    images = listed if run.method is None else chosen_images(listed, run.number, run.seed)
    write_image_list(images, folder / IMAGES)

    def step(name: str, words: list[str]) -> None:
        say(f"{name}: {log}")
        ended = execute(words, log)
        if name == "train":
            before = read_json(folder / COST)["peak_bytes"] if (folder / COST).is_file() else 0
            write_json(folder / COST, {"peak_bytes": max(before, ended.peak_bytes)})
        if ended.code:
            (folder / REPORT).unlink(missing_ok=True)  # one that leaves out images is none
            raise InputError(
                f"{run.title}: {name} failed with exit code {ended.code}: "
                f"{ended.told or 'it said nothing'}"
            )

    if run.method is not None and not is_trained(trained):
        write_bytes(folder / TRAINING, training_config(study, run.method).encode())
        started = any((trained / name).is_file() for name in (LAST, PREVIOUS))
        if not started:
            shutil.rmtree(trained, ignore_errors=True)  # stopped before its first step
        step("train", train_words(run, resume=started))
    step("export", export_words(run))
    step("evaluate", score_words(run))
    _tidy(folder)


def _tidy(folder: Path) -> None:
    shutil.rmtree(folder / PACKAGE, ignore_errors=True)
    shutil.rmtree((folder / RUN / LAST).parent, ignore_errors=True)
