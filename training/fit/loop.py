"""The training loop: one base, a few annotated images, one adapter.

In: a base folder, annotated images, a method, a ``TrainConfig``. Out: an adapter folder, with a
log and checkpoints beside it. ``run.py`` holds the state of a run, ``learning/learner.py`` one
step of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.labels.contents import refuse_shared
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage, contents

from .interrupts import interrupts_held_back
from .readiness import LAST, PREVIOUS, check_settings
from .schedule import Status, Stopped, doubts, finished, out_of_time, status
from .validation import check_validation_data
from .warm_start import refuse_seen, resumed

if TYPE_CHECKING:
    from .run import Run

__all__ = ["Report", "Status", "Stopped", "train"]

Report = Callable[[Status], None]


def train(
    *,
    base: Path,
    train_data: Sequence[AnnotatedImage],
    val_data: Sequence[AnnotatedImage],
    method: str,
    config: TrainConfig,
    output: Path,
    resume: bool = False,
    start: Path | None = None,
    source: dict[str, Any] | None = None,
    report: Report | None = None,
    note: Callable[[str], None] | None = None,
    progress: Progress | None = None,
    devices: int = 1,
    meet: Callable[[], object] | None = None,
) -> dict[str, float]:
    """Finetune a base on annotated images and write an adapter.

    Whenever the validation score is the best so far, the adapter is written, so that a run that
    stops early leaves one. On a KeyboardInterrupt it saves the state after the last whole step;
    ``resume=True`` continues from there.

    Args:
        base: Folder with ``config.json`` and ``model.safetensors``.
        train_data: Images to learn from.
        val_data: Images that choose the best checkpoint and the AIS thresholds.
        method: Name in ``samzoo.training.methods.METHODS``.
        config: The run's settings.
        output: Folder of the run, which becomes the adapter folder.
        resume: Continue the run in ``output``.
        start: An adapter, or a run with one, from whose weights a new run begins; of the same base,
            method, hyperparameters and AIS decoder. A run that goes on knows its own.
        source: Provenance to write into the adapter, in addition to what training records.
        report: Called after every step.
        note: Called with each sentence that a person should read: that a damaged checkpoint was
            left out, that memory is short, that the time limit cut the run short, that a validation
            score is 0.
        progress: Called in the stages after the last step: the maps for the AIS thresholds, their
            search, and a validation on all images.
        devices: Number of processes that learn together. Each calls this function with the same
            arguments and torch's environment variables for its place among them.
        meet: Called right before this process waits for the others.

    Returns:
        Validation scores of the best checkpoint: mSA by task, and ``score``, their mean, which
        chose the checkpoint. ``ais`` is the mSA with the thresholds that the search found. Nothing
        in a process that is not the first of several.

    Raises:
        OutputExistsError: ``output`` holds a run and ``resume`` is false.
        NotFoundError: There is nothing to resume, or the base is missing.
        InputError: Data, settings, base or ``start`` cannot be used, the loss is not finite, or
            memory ran out.
        StorageError: A checkpoint cannot be written; the last good one stays.
        Stopped: The KeyboardInterrupt, with the status of the run.
    """
    _, begin = check_settings(
        base=base, method=method, config=config, output=output, resume=resume, start=start
    )
    check_validation_data(val_data, config.min_object_size)
    refuse_shared(contents(train_data), contents(val_data))
    from .resumption import stored_precision, stored_settings  # torch takes seconds
    from .run import Run
    from .state import newest_state

    last, skipped = output / LAST, list[str]()
    if resume:
        last, skipped = newest_state([last, output / PREVIOUS])
        begin = resumed(last, stored_settings(last), begin)
    if begin is not None:
        refuse_seen(begin, contents(val_data))
    if note is not None:
        for sentence in skipped:
            note(sentence)
    with _shortage_explained(base, method, config):
        precision = stored_precision(last) if resume else None
        if meet is not None:
            meet()
        run = Run(
            base, train_data, val_data, method, config, output,
            precision=precision, devices=devices, begin=begin,
        )  # fmt: skip
        run.source, run.progress = source or {}, progress
        if note is not None:
            for sentence in run.told:
                note(sentence)
        if resume:
            run.load(last)
        else:
            run.save()  # first, so that there is a run to resume whatever happens after
        try:
            _fit(run, report)
        except KeyboardInterrupt:
            run.save()
            raise Stopped(status(config, run.history)) from None
        if not run.leads:
            return {}
        try:
            scores = run.finish()
        except KeyboardInterrupt:  # the state is saved, and the weights are the best ones now
            raise Stopped(status(config, run.history)) from None
    if note is not None:
        for sentence in doubts(config, run.history, scores):
            note(sentence)
    return scores


@contextmanager
def _shortage_explained(base: Path, method: str, config: TrainConfig) -> Iterator[None]:
    """Answer an error of memory with what the run needs and what would take less."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        from samzoo.training.planning.shortage import is_shortage, what_takes_less  # imports torch

        if not is_shortage(error):
            raise
        raise InputError(what_takes_less(base, method, config)) from error


def _fit(run: Run, report: Report | None) -> None:
    """Train until the epochs, the time or the patience are used up."""
    config, history = run.config, run.history
    start = time.monotonic() - history.seconds
    while not finished(config, history):
        while history.step < (history.epoch + 1) * config.steps_per_epoch:
            with interrupts_held_back():
                begun = time.monotonic()
                run.step()
                history.step_seconds += time.monotonic() - begun
                history.seconds = run.agreed(time.monotonic() - start)
            if report is not None:
                report(status(config, history))
            if out_of_time(config, history):
                break
        scores = run.validate()
        with interrupts_held_back():
            run.end_epoch(scores)
            history.seconds = run.agreed(time.monotonic() - start)
            run.save()
