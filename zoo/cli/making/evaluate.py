"""``samzoo evaluate``: score a model on annotated images."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output, check_output_folder
from samzoo.runtime.labels.tables import PARTS
from samzoo.zoo.cli.options import (
    add_annotated,
    add_diameter,
    add_label_meaning,
    add_model,
    add_output,
    add_plane,
    chosen_plane,
    chosen_table,
    refuse_given,
)
from samzoo.zoo.cli.progress import progress_bar, say
from samzoo.zoo.cli.thresholds import FIELDS, add_thresholds
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.evaluation.set_scoring import Report
    from samzoo.runtime.labels.lists import Entry
    from samzoo.zoo.review.pictures import Pictures


TOLD = (
    "read", "mean", "ap", "boundary_error", "intervals", "n_groups", "controls", "strata",
    "classes", "orientations", "corrections", "speed", "negatives", "n_images", "n_left_out",
    "left_out",
)  # fmt: skip
"""What ``--json`` tells of a report; the rest is in the file."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Images, model, what is scored, and the command line for the report."""

    images: Path
    labels: Path | None
    split: Path | None
    part: str | None
    split_components: bool
    ignore: tuple[int, ...]
    tasks: str
    seed: int | None
    min_object_size: int
    controls: bool
    orientations: bool
    table: Path | None
    pictures: Path | None
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    diameter: float | Literal["auto", "own"] | None
    foreground_threshold: float | None
    center_threshold: float | None
    boundary_threshold: float | None
    min_size: int | None
    model: tuple[str, ...]
    adapter: str | None
    threads: int | None
    provider: str
    output: Path
    force: bool
    command: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    """Add images, tasks, model and output."""
    add_annotated(parser)
    parser.add_argument(
        "--part", choices=PARTS,
        help="part of the images to score, by the column split of the list or table",
    )  # fmt: skip
    add_label_meaning(parser)
    parser.add_argument(
        "--tasks", default="ais,point,box,ip,ib", metavar="TASKS",
        help="tasks to score, separated by commas (default: ais,point,box,ip,ib)",
    )  # fmt: skip
    parser.add_argument(
        "--seed", type=int,
        help="seed of the random correction points of the tasks ip and ib (default: 0)",
    )  # fmt: skip
    parser.add_argument(
        "--min-object-size", type=int, default=20, metavar="PIXELS",
        help="ignore annotated objects smaller than this (default: 20)",
    )  # fmt: skip
    parser.add_argument(
        "--controls", action="store_true",
        help="score classical methods beside the model: the thresholds of Otsu and Li and a local "
        "one, with a watershed (extra: evaluate)",
    )  # fmt: skip
    parser.add_argument(
        "--orientations", action="store_true",
        help="segment each image turned and mirrored in all eight ways, too, and say how the "
        "scores of ais change",
    )  # fmt: skip
    parser.add_argument(
        "--table", type=Path, metavar="FILE.csv", help="scores of each image, for spreadsheets"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR",
        help="folder for a page of pictures with truth and prediction outlined, the worst first",
    )  # fmt: skip
    add_model(parser, several=True)
    add_diameter(parser)
    add_thresholds(parser)
    add_plane(parser)
    add_output(parser, "report (.json)")


def run(options: EvaluateOptions) -> Result:
    """Score models, and write the report."""
    from samzoo.runtime.formats.files import write_json
    from samzoo.zoo.cli.model_loading import chosen
    from samzoo.zoo.review.image_rows import write_image_rows
    from samzoo.zoo.review.pictures import Pictures

    tasks = [task.strip() for task in options.tasks.split(",")]
    _check(options, tasks)
    lonely: list[str] = []
    listed, table = _listed(options, lonely)
    references = options.model or (chosen(None),)
    with TemporaryDirectory(prefix="samzoo-") as folder:
        pictures = Pictures(Path(folder), "ais" if "ais" in tasks else tasks[0])
        found = {
            reference: _scored(
                options, reference, listed, table, tasks=tasks, lonely=lonely,
                say=say if reference == references[0] else None,
                pictures=pictures if options.pictures is not None else None,
            )
            for reference in references
        }  # fmt: skip
        if options.pictures is not None:
            pictures.write(options.pictures, force=options.force)
    if options.table is not None:
        write_image_rows(options.table, {name: each["report"] for name, each in found.items()})
    contents = [each["content"] for each in found.values()]
    compared = _differences({name: each["report"] for name, each in found.items()})
    whole = {"models": contents, "differences": compared}
    write_json(options.output, contents[0] if len(contents) == 1 else whole)
    return _result(options, found, compared)


def _check(options: EvaluateOptions, tasks: list[str]) -> None:
    """Refuse outputs that exist, and options that nothing would use."""
    output, table = options.output, options.table
    if output.suffix != ".json":
        raise InputError(f"{output}: the name of a report must end in .json")
    if table is not None and table.suffix != ".csv":
        raise InputError(f"{table}: the name of a table must end in .csv")
    for path in (output, *([table] if table is not None else [])):
        check_output(path, force=options.force)
    if options.pictures is not None:
        check_output_folder(options.pictures, force=options.force, inputs=[options.images])
    if "ais" not in tasks:
        given = {name: getattr(options, name) for name in FIELDS}
        given |= {name: getattr(options, name) or None for name in ("controls", "orientations")}
        refuse_given(given, "is for the task ais, which --tasks leaves out; omit it")
    twice = [name for name in options.model if options.model.count(name) > 1]
    if twice:
        raise InputError(f"--model: found {twice[0]} twice; name each model once")


def _scored(
    options: EvaluateOptions,
    reference: str,
    listed: Sequence[Entry],
    table: Path | None,
    *,
    tasks: list[str],
    lonely: Sequence[str],
    say: Callable[[str], None] | None,
    pictures: Pictures | None,
) -> dict[str, Any]:
    """Score a model; return its report, and what the file says of it."""
    from samzoo.runtime.batch.sized_model import SizedByImage
    from samzoo.runtime.engine.networks import RememberedEncoder
    from samzoo.runtime.evaluation.set_scoring import evaluate
    from samzoo.runtime.images.reading import read_image
    from samzoo.runtime.labels.annotation import LabelMeaning
    from samzoo.runtime.labels.contents import about_seen
    from samzoo.runtime.model import Model
    from samzoo.zoo.cli.model_loading import load_named
    from samzoo.zoo.cli.thresholds import given_thresholds
    from samzoo.zoo.review.controls import classical_controls

    controls = classical_controls(min_size=options.min_object_size) if options.controls else {}
    model = load_named(reference, options)
    adapter = model.adapter
    thresholds, auto = given_thresholds(options), options.diameter == "auto"
    ais = replace(model.config.ais, **({} if auto else thresholds))
    model = Model(replace(model.config, ais=ais), RememberedEncoder(model.networks))
    with progress_bar() as progress:
        report = evaluate(
            SizedByImage(model, thresholds) if auto else model,
            [(entry.image, entry.labels) for entry in listed],
            tasks=tasks,
            seed=options.seed,
            min_object_size=options.min_object_size,
            controls=controls,
            orientations=options.orientations,
            meaning=LabelMeaning(split_components=options.split_components, ignore=options.ignore),
            read=partial(read_image, **chosen_plane(options)),
            groups=[entry.group for entry in listed],
            strata=[entry.stratum for entry in listed],
            classes=[entry.classes for entry in listed],
            lonely=lonely,
            watch=partial(pictures.add, reference) if pictures is not None else None,
            progress=progress,
            say=say,
        )
    if report["speed"]:
        report["speed"]["threads"] = options.threads or os.cpu_count() or 1
    content = {
        "model": reference,
        **({"adapter": adapter} if adapter is not None else {}),
        "weights_digest": model.config.weights_digest,
        "diameter": options.diameter or "own",
        "command": shlex.join(options.command),
        "notes": about_seen([row["content"] for row in report["images"]], model.config.source),
        **({"split": str(table)} if table is not None else {}),
        **({"part": options.part} if options.part is not None else {}),
        **report,
    }
    return {"report": report, "content": content}


def _differences(reports: dict[str, Report]) -> list[dict[str, Any]]:
    """Compare each further model with the first, on the same images."""
    from samzoo.runtime.evaluation.intervals import score_differences

    names = list(reports)
    first = reports[names[0]]["images"]
    return [
        {"model": name, "than": names[0],
         "intervals": score_differences(first, reports[name]["images"])}
        for name in names[1:]
    ]  # fmt: skip


def _result(
    options: EvaluateOptions, found: dict[str, dict[str, Any]], compared: list[dict[str, Any]]
) -> Result:
    """Say what was found, and return what is printed."""
    from samzoo.zoo.review.score_table import about_intervals, difference_lines, report_lines

    reports = {name: each["report"] for name, each in found.items()}
    first = next(iter(reports.values()))
    if first["intervals"]:
        say(about_intervals(first["n_groups"], first["n_images"]))
    for name, report in reports.items():
        for sentence in report["controls"]:
            say(sentence if len(reports) == 1 else f"{name}: {sentence}")
    for pair in first["left_out"]:
        say(f"left out: {pair['message']}")
    if first["n_left_out"]:
        say(f"{first['n_images']} scored, {first['n_left_out']} left out")
    lines = []
    for name, report in reports.items():
        lines += [*([name] if len(reports) > 1 else []), *report_lines(report), ""]
    told = [{name: each["content"][name] for name in TOLD} for each in found.values()]
    several = {"models": [{"model": n, **each} for n, each in zip(found, told, strict=True)],
               "differences": compared}  # fmt: skip
    notes = [note for each in found.values() for note in each["content"]["notes"]]
    return {
        "text": "\n".join([*lines, *difference_lines(compared)]).rstrip(),
        "report": str(options.output), "notes": list(dict.fromkeys(notes)),
        **(told[0] if len(told) == 1 else several), "exit": 4 if first["n_left_out"] else 0,
    }  # fmt: skip


def _listed(options: EvaluateOptions, lonely: list[str]) -> tuple[list[Entry], Path | None]:
    """List the images to score, and return the table of their parts and groups, if there is one."""
    from samzoo.runtime.labels.lists import about, entries, has_parts, of_part

    table = chosen_table(options)
    listed = entries(
        options.images, options.labels, split=table, part=options.part, lonely=lonely, say=say
    )
    where = table or options.images
    if options.part is None and has_parts(listed):
        raise InputError(
            f"--part: {where} divides the images into parts; choose one, such as --part test"
            f"{', or pass --split none to score all' if table is not None else ''}"
        )
    if options.part is not None:
        if not has_parts(listed):
            raise InputError(
                f"--part: found {options.part}, but {where} does not say in which part the images "
                "are; pass --split with a table that has a column split, or omit --part"
            )
        listed = of_part(listed, options.part)
        say(f"{where}: scores {about(listed)} of the part {options.part}")
    return listed, table


VERB = Verb(
    purpose="score models on annotated images",
    example="samzoo evaluate --images examples/test/images --labels examples/test/labels "
    "-o report.json",
    options=EvaluateOptions,
    add_options=add_options,
    run=run,
)
