"""The segmentation of many images into one folder of results, one verdict each.

In: an opened model, the images, and the options of one. Out: labels, overlays and tables in the
folder, and a ``Verdict`` for each image as soon as it is known.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, OutputExistsError, WriteError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.large.file_segmentation import run_task
from samzoo.runtime.large.file_task import FileTask
from samzoo.runtime.large.image_outputs import write_outputs_again
from samzoo.runtime.model import Model
from samzoo.runtime.outlines.writing import ENDINGS, OutlineFormat, outline_path
from samzoo.runtime.pieces.request import SegmentedFile

from .inputs import Inputs
from .names import result_names, shown_names
from .records import Record, Records, content_of, differences
from .tables import COUNTS, OBJECTS, is_table, write_count_table, write_object_table
from .verdicts import DONE, DONE_BEFORE, SKIPPED, Verdict, failure, without_path


@dataclass(frozen=True)
class Job:
    """One image of a run.

    Attributes:
        image: The file.
        shown: Its short name.
        name: Name of its results.
    """

    image: Path
    shown: str
    name: str


@dataclass(frozen=True, kw_only=True)
class FolderRun:
    """A run over many images.

    Attributes:
        inputs: The images.
        folder: The folder of results: ``labels/NAME.tif``, and the records of what is done.
        task: The options for every image; its paths and ``force`` are not used.
        settings: What the labels depend on, as JSON reads it: the model's weights and the options.
        overlays: The folder of overlays; None for none.
        table: Path of the table of all objects; None for none. ``counts.csv`` lies in ``folder``.
        force: Segment again what is done, and replace files that no record knows.
    """

    inputs: Inputs
    folder: Path
    task: FileTask
    settings: Mapping[str, Any]
    overlays: Path | None = None
    table: Path | None = None
    force: bool = False

    @property
    def outlines(self) -> Path:
        """The folder of outlines."""
        return self.folder / "outlines"

    @property
    def records(self) -> Records:
        """The records of the folder of results."""
        return Records(self.folder)

    def jobs(self) -> list[Job]:
        """Return the images with the names of their results."""
        return list(self._jobs)

    @cached_property
    def _jobs(self) -> list[Job]:
        """Read the records once: their names are what a run never changes."""
        taken = {name: record.path for name, record in self.records.all()}
        images = self.inputs.images
        names = result_names(images, taken)
        return [Job(*each) for each in zip(images, shown_names(images), names, strict=True)]

    def check(self) -> None:
        """Refuse a run that would mix results of different settings, before any work.

        Raises:
            InputError: The folder holds results of other settings, and ``force`` is false, or they
                are of other images.
            OutputExistsError: A table exists that this folder's runs did not write.
        """
        own = {job.name for job in self.jobs()}
        for name, record in self.records.all():
            different = differences(record.settings, self.settings)
            if record.state == "begun" or not different or (self.force and name in own):
                continue
            advice = (
                "choose another output folder" if self.force else
                "pass --force to segment all again, or choose another output folder"
            )  # fmt: skip
            raise InputError(
                f"{self.folder}: holds labels of {record.image} made with other settings "
                f"({'; '.join(different)}); {advice}"
            )
        for path in self._tables():
            if not is_table(path):
                check_output(path, force=self.force)

    def begin(self) -> None:
        """With ``force``, mark what is done as begun, so that an interrupted run goes on by itself.

        Raises:
            WriteError: The folder cannot be written.
        """
        for job in self.jobs() if self.force else ():
            record = self.records.read(job.name)
            if record is not None and record.state == "done":
                again = dataclasses.replace(record, state="begun", settings=dict(self.settings))
                self.records.write(job.name, again)

    def verdicts(self, model: Model, progress: Progress | None = None) -> Iterator[Verdict]:
        """Segment each image that is not done, and yield each image's verdict.

        Args:
            model: The opened model.
            progress: As in ``run_task``, for one image at a time.

        Yields:
            A verdict for each of ``jobs()``, in their order.

        Raises:
            WriteError: The disk is full or the folder cannot be written; what is done stays.
        """
        for job in self.jobs():
            start = time.monotonic()
            content = cache(partial(content_of, job.image))  # read only if needed, and once
            try:
                yield self._skipped(job, content) or self._segmented(job, content, model, progress)
            except WriteError:
                raise
            except Exception as error:  # one image never stops the others
                if _is_full(error):
                    raise WriteError(f"{self.folder}: cannot be written ({error})") from error
                yield failure(job.image, job.shown, error, seconds=_since(start))

    def write_tables(self, verdicts: Iterator[Verdict] | list[Verdict]) -> None:
        """Write the tables, from all records of the folder, if they are wanted or exist already.

        Raises:
            WriteError: The disk is full or the folder cannot be written.
        """
        for path in self._tables():
            if path.name == COUNTS:
                write_count_table(path, self.records, verdicts)
            else:
                write_object_table(path, self.records)

    def _tables(self) -> list[Path]:
        if self.table is not None:
            return [self.table, self.folder / COUNTS]
        if is_table(self.folder / OBJECTS):
            return [self.folder / OBJECTS, self.folder / COUNTS]
        return []

    def _overlay(self, job: Job) -> Path | None:
        return None if self.overlays is None else self.overlays / f"{job.name}.png"

    def _skipped(self, job: Job, content: Callable[[], str]) -> Verdict | None:
        """Return the verdict on an image that is done, or None if there is something to do.

        Raises:
            OutputExistsError: The labels are there, and no record says that they may be replaced.
            InputError: Another process wrote labels of other settings meanwhile.
        """
        record, labels, overlay = self.records.read(job.name), self._labels(job), self._overlay(job)
        views = list(self._views(job).values())
        if record is not None and record.state == "done":
            self._refuse_others(record)
        if record is None or record.state == "begun" or not labels.exists():
            for path in [labels, *views]:
                check_output(path, force=self.force or record is not None, inputs=[job.image])
            return None
        changed = record.content != content()
        edited = record.labels != content_of(labels)
        missing = [path for path in (*views, self.records.objects(job.name)) if not path.exists()]
        if edited and (changed or missing):
            raise OutputExistsError(
                f"{labels}: was changed after samzoo wrote it, and "
                + ("the image was changed too" if changed else f"{missing[0].name} is missing")
                + "; pass --force to replace the labels, or keep them under another name"
            )
        if not changed and missing and set(missing) <= set(views):
            missing = [] if self._views_written(job, missing, record) else missing
        if changed or missing:
            return None
        notes = record.notes
        if edited:
            notes += ("the label file was changed after samzoo wrote it, and is kept; overlay and "
                      "tables show what samzoo found",)  # fmt: skip
        return Verdict(
            image=job.image, shown=job.shown, verdict=SKIPPED, message=DONE_BEFORE, labels=labels,
            overlay=overlay, objects=record.objects, notes=notes,
            more=tuple(record.scale.items()),
        )  # fmt: skip

    def _views(self, job: Job) -> dict[Path, Path]:
        """Return where overlay and outlines are written first, and their places."""
        overlay, staged = self._overlay(job), self.records.staged(job.name, ".tif")
        places = {} if overlay is None else {self.records.staged(job.name, ".png"): overlay}
        for form in self.task.outlines:
            places[outline_path(staged, form)] = self._outlines(job, form)
        return places

    def _outlines(self, job: Job, form: OutlineFormat) -> Path:
        return self.outlines / f"{job.name}{ENDINGS[form]}"

    def _views_written(self, job: Job, missing: list[Path], record: Record) -> bool:
        """Write overlay and outlines that are missing from labels that are done, if small."""
        overlay = self.records.staged(job.name, ".png")
        task = dataclasses.replace(
            self.task, path=job.image, output=self.records.staged(job.name, ".tif"), force=True,
            overlay=overlay if self._overlay(job) in missing else None,
            outlines=tuple(f for f in self.task.outlines if self._outlines(job, f) in missing),
        )  # fmt: skip
        if task.in_pieces:
            return False
        write_outputs_again(task, self._labels(job), record.scale)
        for staged, place in self._views(job).items():
            if place in missing:
                _move(staged, place)
        return True

    def _refuse_others(self, record: Record) -> None:
        """Refuse to go on where another process has begun to write labels of other settings.

        ``check`` has seen the folder before; two runs that start at once see it empty.
        """
        different = differences(record.settings, self.settings)
        if different:
            raise InputError(
                f"another run is writing to {self.folder} with other settings "
                f"({'; '.join(different)}); give each run a folder of its own"
            )

    def _labels(self, job: Job) -> Path:
        return self.records.labels(job.name)

    def _segmented(
        self, job: Job, content: Callable[[], str], model: Model, progress: Progress | None
    ) -> Verdict:
        """Segment one image: write its files aside, move them to their places, then say done."""
        start = time.monotonic()
        before = self.records.read(job.name)
        begun = Record(
            state="begun", image=job.shown, path=os.path.abspath(job.image),
            content=content(), settings=dict(self.settings),
        )  # fmt: skip
        overlay = self._overlay(job)
        places = {
            self.records.staged(job.name, ".tif"): self._labels(job),
            self.records.staged(job.name, ".csv"): self.records.objects(job.name),
            **self._views(job),
        }
        task = dataclasses.replace(
            self.task, path=job.image, output=self.records.staged(job.name, ".tif"),
            table=self.records.staged(job.name, ".csv"), force=True,
            overlay=None if overlay is None else self.records.staged(job.name, ".png"),
        )  # fmt: skip
        task.check()
        self.records.write(job.name, begun)
        try:
            found = run_task(model, task, progress=progress)
        except Exception:
            if before is None:  # nothing of it is there
                self.records.forget(job.name)
            raise
        now = self.records.read(job.name)
        if now is not None:
            self._refuse_others(now)
        digest = content_of(task.output)
        for staged, place in places.items():
            _move(staged, place)
        found_notes = tuple(without_path(note, job.image) for note in found.notes)
        notes = found_notes
        if before is not None and before.state == "done" and before.content != begun.content:
            notes = ("has changed since the last run, and was segmented again", *notes)
        seconds = _since(start)
        self.records.write(job.name, dataclasses.replace(
            begun, state="done", labels=digest, objects=found.objects, size=tuple(found.size),
            seconds=seconds, notes=found_notes, scale=_facts(found),
        ))  # fmt: skip
        more = tuple(_facts(found).items())
        if found.in_pieces:
            more += (("size", list(found.size)), ("resumed", found.resumed))
        return Verdict(
            image=job.image, shown=job.shown, verdict=DONE, labels=self._labels(job),
            overlay=overlay, objects=found.objects, seconds=seconds, notes=notes, more=more,
            estimate=_estimate(found),
        )  # fmt: skip


def _facts(found: SegmentedFile) -> dict[str, Any]:
    return {} if found.scale is None else found.scale.facts()


def _estimate(found: SegmentedFile) -> str:
    if found.scale is None or found.scale.origin != "estimated":
        return ""
    return found.scale.line()


def _move(staged: Path, place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(staged, place)
    except OSError as error:
        raise WriteError(f"{place}: cannot be written ({error.strerror or error})") from error


def _is_full(error: BaseException | None) -> bool:
    """Tell whether an error comes from a disk that takes no more, whoever reported it."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (
            errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG,
        ):  # fmt: skip
            return True
        error = error.__cause__
    return False


def _since(start: float) -> float:
    return round(time.monotonic() - start, 2)
