"""``samzoo evaluate``: score a model on annotated images."""

from __future__ import annotations

import shlex
from argparse import ArgumentParser
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.labels.tables import PARTS
from samzoo.zoo.cli.options import (
    NO_SPLIT,
    add_annotated,
    add_diameter,
    add_label_meaning,
    add_model,
    add_output,
    add_plane,
    chosen_plane,
    refuse_given,
)
from samzoo.zoo.cli.progress import progress_bar, say
from samzoo.zoo.cli.thresholds import FIELDS, add_thresholds
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.labels.lists import Entry


TOLD = (
    "read", "mean", "ap", "intervals", "n_groups", "controls", "strata", "classes",
    "orientations", "negatives", "n_images",
    "n_left_out", "left_out",
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
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    diameter: float | Literal["auto", "own"] | None
    foreground_threshold: float | None
    center_threshold: float | None
    boundary_threshold: float | None
    min_size: int | None
    model: str | None
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
    add_model(parser)
    add_diameter(parser)
    add_thresholds(parser)
    add_plane(parser)
    add_output(parser, "report (.json)")


def run(options: EvaluateOptions) -> Result:
    """Score a model, and write the report."""
    from samzoo.runtime.batch.sized_model import SizedByImage
    from samzoo.runtime.engine.networks import RememberedEncoder
    from samzoo.runtime.evaluation.set_scoring import evaluate
    from samzoo.runtime.formats.files import write_json
    from samzoo.runtime.images.reading import read_image
    from samzoo.runtime.labels.annotation import LabelMeaning
    from samzoo.runtime.labels.contents import about_seen
    from samzoo.runtime.model import Model
    from samzoo.zoo.cli.model_loading import load_model
    from samzoo.zoo.cli.thresholds import given_thresholds
    from samzoo.zoo.hub.names import DEFAULT_MODEL
    from samzoo.zoo.review.controls import classical_controls
    from samzoo.zoo.review.score_table import (
        about_intervals,
        class_lines,
        orientation_lines,
        stratum_lines,
        table_lines,
    )

    output = options.output
    if output.suffix != ".json":
        raise InputError(f"{output}: the name of a report must end in .json")
    check_output(output, force=options.force)
    tasks = [task.strip() for task in options.tasks.split(",")]
    if "ais" not in tasks:
        given = {name: getattr(options, name) for name in FIELDS}
        given |= {name: getattr(options, name) or None for name in ("controls", "orientations")}
        refuse_given(given, "is for the task ais, which --tasks leaves out; omit it")
    controls = classical_controls(min_size=options.min_object_size) if options.controls else {}
    lonely: list[str] = []
    listed, table = _listed(options, lonely)
    model = load_model(options)
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
            progress=progress,
            say=say,
        )
    notes = about_seen([row["content"] for row in report["images"]], model.config.source)
    content = {
        "model": options.model or DEFAULT_MODEL,
        **({"adapter": adapter} if adapter is not None else {}),
        "weights_digest": model.config.weights_digest,
        "diameter": options.diameter or "own",
        "command": shlex.join(options.command),
        "notes": notes,
        **({"split": str(table)} if table is not None else {}),
        **({"part": options.part} if options.part is not None else {}),
        **report,
    }
    write_json(output, content)
    if report["intervals"]:
        say(about_intervals(report["n_groups"], report["n_images"]))
    for sentence in report["controls"]:
        say(sentence)
    for pair in report["left_out"]:
        say(f"left out: {pair['message']}")
    if report["n_left_out"]:
        say(f"{report['n_images']} scored, {report['n_left_out']} left out")
    lines = [
        *table_lines(report["mean"], report["ap"], report["intervals"]),
        *stratum_lines(report["strata"]), *class_lines(report["classes"]),
        *orientation_lines(report["orientations"]),
    ]  # fmt: skip
    facts: Result = {**report}
    return {
        "text": "\n".join(lines), "report": str(output), "notes": notes,
        **{name: facts[name] for name in TOLD}, "exit": 4 if report["n_left_out"] else 0,
    }  # fmt: skip


def _listed(options: EvaluateOptions, lonely: list[str]) -> tuple[list[Entry], Path | None]:
    """List the images to score, and return the table of their parts and groups, if there is one."""
    from samzoo.runtime.labels.lists import about, beside, entries, has_parts, of_part

    table = options.split if options.split != NO_SPLIT else None
    if options.split is None and (found := beside(options.images)) is not None:
        if options.part is None:
            say(f"{found}: is there and not used; score one part with --part, such as --part test")
        else:
            table = found
    listed = entries(options.images, options.labels, split=table, lonely=lonely, say=say)
    where = table or options.images
    if options.part is None and has_parts(listed):
        raise InputError(
            f"--part: {where} divides the images into parts; choose one, such as --part test"
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
    purpose="score a model on annotated images",
    example="samzoo evaluate --images examples/test/images --labels examples/test/labels "
    "-o report.json",
    options=EvaluateOptions,
    add_options=add_options,
    run=run,
)
