"""``samzoo study``: compare methods over seeds and numbers of images."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.progress import say
from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.studies import processes

if TYPE_CHECKING:
    from samzoo.runtime.labels.lists import Entry
    from samzoo.zoo.studies.plan import PlannedRun
    from samzoo.zoo.studies.study import Study


@dataclass(frozen=True, kw_only=True)
class StudyOptions:
    """The study and its folder."""

    study: Path
    output: Path


def add_options(parser: ArgumentParser) -> None:
    """Add the study and its folder."""
    parser.add_argument("study", type=Path, metavar="STUDY.toml", help="file that says what to run")
    add_output(
        parser,
        "folder of the runs and tables; the same command goes on with what is in it",
        force=False,
    )


def run(options: StudyOptions) -> Result:
    """Train and score what is not done yet, and write the tables."""
    from samzoo.zoo.studies.image_choice import check_parts
    from samzoo.zoo.studies.making import is_done
    from samzoo.zoo.studies.plan import claim, planned_runs
    from samzoo.zoo.studies.study import read_study
    from samzoo.zoo.studies.writing import write_tables

    study, where = read_study(options.study), options.study.parent
    lists = _lists(study, where)
    for data in study.data:
        check_parts(lists[data.name], data.numbers, where=f"{options.study}: data {data.name}")
    runs = planned_runs(study, where, options.output)
    _check_bases(study, where)
    claim(study, lists, options.output)
    _convert_bases(study, where, options.output)
    failed: list[str] = []
    try:
        _make_all(study, runs, lists, failed, options.output)
    except KeyboardInterrupt:
        done = sum(map(is_done, runs))
        raise KeyboardInterrupt(
            f"{done} of {len(runs)} runs are done; the same command goes on"
        ) from None
    page = write_tables(study.title, runs, options.output)
    done = sum(map(is_done, runs))
    return {
        "text": str(page), "table": str(page), "runs": len(runs), "done": done, "failed": failed,
        "notes": failed, "exit": 4 if failed else 0,
    }  # fmt: skip


def _lists(study: Study, where: Path) -> dict[str, list[Entry]]:
    """List the images of each set, as ``samzoo train`` does."""
    from samzoo.runtime.labels.lists import beside, entries

    lists = {}
    for data in study.data:
        images = where / data.images
        labels = where / data.labels if data.labels else None
        split = where / data.split if data.split else None
        if split is None and labels is not None:
            split = beside(images)
        lists[data.name] = entries(images, labels, split=split, say=say)
    return lists


def _check_bases(study: Study, where: Path) -> None:
    """Check that all bases are there before hours of work, but those that are still converted."""
    from samzoo.runtime.formats.config import ModelConfig
    from samzoo.runtime.formats.folders import CONFIG_FILE
    from samzoo.zoo.recipes.recipe import LITE_MEDSAM

    for base in study.bases:
        if base.base != LITE_MEDSAM:
            ModelConfig.read(where / base.base / CONFIG_FILE)


def _convert_bases(study: Study, where: Path, work: Path) -> None:
    """Convert the bases that another package holds."""
    from samzoo.runtime.formats.folders import CONFIG_FILE
    from samzoo.zoo.recipes.recipe import LITE_MEDSAM
    from samzoo.zoo.studies.making import LOG
    from samzoo.zoo.studies.plan import BASES, base_folder

    for base in study.bases:
        folder = base_folder(base, where, work)
        if base.base == LITE_MEDSAM and not (folder / CONFIG_FILE).is_file():
            words = ["convert", LITE_MEDSAM, "-o", str(folder)]
            ended = processes.run_command(words, work / BASES / LOG)
            if ended.code:
                raise InputError(f"bases: {base.name}: {ended.told}")


def _make_all(
    study: Study,
    runs: Sequence[PlannedRun],
    lists: dict[str, list[Entry]],
    failed: list[str],
    work: Path,
) -> None:
    """Make each run; one that fails stops no others."""
    from samzoo.zoo.studies.making import is_done, make_run
    from samzoo.zoo.studies.writing import write_tables

    for number, each in enumerate(runs, start=1):
        before = is_done(each)
        name = f"[{number}/{len(runs)}] {each.title}"
        try:
            make_run(
                study, each, lists[each.data.name], execute=processes.run_command,
                say=partial(_say_step, name),
            )  # fmt: skip
        except InputError as error:
            failed.append(str(error))
            say(f"{name}: failed")
        if not before:
            write_tables(study.title, runs, work)


def _say_step(name: str, step: str) -> None:
    say(f"{name}: {step}")


VERB = Verb(
    purpose="compare finetuning methods over seeds and numbers of images",
    example="samzoo study examples/study.toml -o study",
    options=StudyOptions,
    add_options=add_options,
    run=run,
)
