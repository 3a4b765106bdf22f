"""``samzoo train``: finetune a base on annotated images."""

from __future__ import annotations

import json
import math
import shlex
import sys
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.labels.tables import is_table
from samzoo.zoo.cli.options import (
    add_annotated,
    add_label_meaning,
    add_output,
    add_plane,
    chosen_plane,
    chosen_table,
)
from samzoo.zoo.cli.progress import TrainingBar, clock, say
from samzoo.zoo.cli.verb import Result, Verb

from .companions import is_companion, started_companions
from .settings import add_base, add_settings, chosen_config

if TYPE_CHECKING:
    from samzoo.runtime.formats.config import ModelConfig
    from samzoo.runtime.labels.lists import Entry
    from samzoo.training.data.annotated import AnnotatedImage
    from samzoo.training.fit.schedule import Status


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Images, base, method and settings of a run."""

    images: Path
    labels: Path | None
    split: Path | None
    val_images: Path | None
    val_labels: Path | None
    split_components: bool
    ignore: tuple[int, ...]
    base: Path
    start: Path | None
    method: str
    config: str
    show_config: None
    ais_decoder: Literal["light", "unetr", "none"] | None
    seed: int | None
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    epochs: int | None
    max_minutes: float | None
    resume: bool
    devices: int
    output: Path
    command: tuple[str, ...]


def add_options(parser: ArgumentParser) -> None:
    """Add images, base, method and settings."""
    add_annotated(parser)
    parser.add_argument(
        "--val-images", type=Path, metavar="DIR",
        help="images for validation, or a list (default: the part val of --split, or some of the "
        "training images)",
    )  # fmt: skip
    parser.add_argument(
        "--val-labels", type=Path, metavar="DIR", help="label images of the validation images"
    )
    add_label_meaning(parser)
    add_base(parser)
    parser.add_argument(
        "--start", type=Path, metavar="ADAPTER",
        help="adapter, or run, from whose weights a new run begins; with the same base, method, "
        "hyperparameters and AIS decoder (default: the base's weights)",
    )  # fmt: skip
    parser.add_argument(
        "--method", default="lora", metavar="NAME",
        help="finetuning method; samzoo methods lists them (default: lora)",
    )  # fmt: skip
    add_settings(parser)
    parser.add_argument(
        "--show-config", action=_ShowConfig, metavar="FILE.toml",
        help="print a preset or file of settings with its comments, and do nothing else",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=int, metavar="N",
        help="largest number of epochs, instead of the config's; with --resume, to train longer",
    )  # fmt: skip
    parser.add_argument(
        "--max-minutes", type=float, metavar="MINUTES",
        help="time limit, instead of the config's; training ends after the step that exceeds it",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, help="random seed, instead of the config's")
    parser.add_argument(
        "--resume", action="store_true", help="continue the interrupted run in the folder -o"
    )
    parser.add_argument(
        "--devices", type=int, default=1, metavar="N",
        help="GPUs, or processes on a CPU, that learn together; each takes a batch of its own "
        "(default: 1)",
    )  # fmt: skip
    add_plane(parser)
    add_output(parser, "folder of the run, which becomes the adapter", force=False)


def run(options: TrainOptions) -> Result:
    """Finetune a base."""
    from samzoo.runtime.labels.annotation import LabelMeaning
    from samzoo.runtime.labels.lists import about
    from samzoo.runtime.labels.overlap import about_overlap
    from samzoo.runtime.labels.survey import Survey
    from samzoo.training import split
    from samzoo.training.data.reading import open_annotated
    from samzoo.training.fit.loop import train
    from samzoo.training.fit.readiness import check_settings
    from samzoo.training.fit.schedule import Stopped
    from samzoo.training.fit.validation_part import about_epochs

    config = chosen_config(
        options, seed=options.seed, epochs=options.epochs, max_minutes=options.max_minutes
    )
    output = options.output
    base, begin = check_settings(
        base=options.base, method=options.method, config=config, output=output,
        resume=options.resume, start=options.start,
    )  # fmt: skip
    _check_decoder(options, base)
    meaning = LabelMeaning(split_components=options.split_components, ignore=options.ignore)
    surveys = {"training": Survey()}
    chosen = chosen_plane(options)
    listed, validating, table = _listed(options)
    training: Sequence[AnnotatedImage] = open_annotated(
        listed, meaning=meaning, choice=chosen, survey=surveys["training"]
    )
    if validating is not None:
        surveys["validation"] = Survey()
        validation: Sequence[AnnotatedImage] = open_annotated(
            validating, meaning=meaning, choice=chosen, survey=surveys["validation"]
        )
    else:
        training, validation = split(training)
        if any(a.group for a in training):
            say(f"set aside for validation: {about(validation)}")
    overlap = about_overlap(
        (a.image for a in training if a.content),  # not of regions of large images
        ((a.name, a.image) for a in validation if a.content),
        pixels=sum(math.prod(a.size) for a in validation if a.content),
    )
    for role, survey in surveys.items():
        for sentence in survey.sentences():
            say(f"{role}: {sentence}")
    if begin is not None and not options.resume:
        say(f"starts from the weights of {begin.start.name} ({begin.start.digest})")
    for sentence in [*overlap, *about_epochs(validation, config)]:
        say(sentence)
    read = {role: survey.facts() for role, survey in surveys.items()}
    bar, notes = TrainingBar(), list[str]()
    data = {
        # Names alone, since this is published; the images' digests say which they were.
        "images": options.images.resolve().name,
        **({"labels": options.labels.resolve().name} if options.labels is not None else {}),
        **({"split": table.resolve().name} if table is not None else {}),
        "split_components": meaning.split_components, "ignore": list(meaning.ignore), "read": read,
        **{name: value for name, value in chosen.items() if value is not None},
    }  # fmt: skip
    if options.devices != 1:
        from samzoo.training.learning.devices import check_devices

        check_devices(options.devices)
    try:
        with started_companions(options.devices, options.command[1:]) as meet:
            scores = train(
                base=options.base, train_data=training, val_data=validation, method=options.method,
                config=config, output=output, resume=options.resume, start=options.start,
                source={"data": data}, report=bar, note=notes.append, progress=bar.stage,
                devices=options.devices, meet=meet,
            )  # fmt: skip
    except Stopped as stop:
        raise KeyboardInterrupt(_where_it_stopped(options, stop.status)) from None
    finally:
        bar.close()
    if is_companion():
        return {"text": ""}
    return {
        "text": str(output), "adapter": str(output), "validation": scores, "read": read,
        "notes": [*notes, _what_came_out(output, scores)],
    }  # fmt: skip


def _what_came_out(output: Path, scores: Mapping[str, float]) -> str:
    """Say in one line the score, the time, where the pictures are, and the next command."""
    from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, read_adapter_config

    trained = read_adapter_config(output / ADAPTER_CONFIG_FILE).source["training"]
    by_task = ", ".join(f"{task} {score:.2f}" for task, score in scores.items() if task != "score")
    return (
        f"validation score {scores['score']:.2f} ({by_task}) after {trained['steps']} steps and "
        f"{clock(trained['seconds'])}; look at curves.png and worst.png in {output}; "
        f"use it: samzoo merge {shlex.quote(str(output))} -o model"
    )


def _listed(options: TrainOptions) -> tuple[list[Entry], list[Entry] | None, Path | None]:
    """List the images to learn from, those to validate on, and the table that says which are which.

    Images to validate on are None if nobody names them, and so is the table.
    """
    from samzoo.runtime.labels.lists import (
        about,
        entries,
        has_parts,
        of_part,
        refuse_crossing,
    )

    table = chosen_table(options)
    own = options.val_images is not None or options.val_labels is not None
    listed = entries(options.images, options.labels, split=table, say=say)
    where = table or options.images
    if own:
        images, labels = options.val_images, options.val_labels
        if images is None or (labels is None and not is_table(images)):
            raise InputError("--val-images and --val-labels belong together; give both or none")
        validating = entries(images, labels)
        for place, found in ((where, listed), (images, validating)):
            if has_parts(found):
                raise InputError(
                    f"--val-images: {images} validates, but {place} says by its column split what "
                    "trains and what validates; omit --val-images, or the column, or "
                    "pass --split none to use no table"
                )
        refuse_crossing({"training": listed, "validation": validating})
        return listed, validating, table
    if not has_parts(listed):
        if any(entry.group for entry in listed):
            say(f"{where}: {about(listed)}")
        return listed, None, table
    training = of_part(listed, "train")
    validating = [entry for entry in listed if entry.part == "val"]
    told = f"trains on {about(training)}, validates on {about(validating)}"
    if not validating:
        told = f"trains on {about(training)} and validates on some of them, as none is in val"
    rest = len(listed) - len(training) - len(validating)
    say(f"{where}: {told}{f', leaves out {rest} of test' if rest else ''}")
    return training, validating or None, table


def _where_it_stopped(options: TrainOptions, status: Status) -> str:
    """Say how far a run has come, how it goes on, and how its best adapter is used."""
    from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, is_adapter, read_adapter_config

    words = [*options.command, *([] if options.resume else ["--resume"])]
    best = "no score yet"
    if status.best is not None:
        best = f"best {status.best:.2f} (epoch {status.best_epoch})"
    elif is_adapter(options.output):
        training = read_adapter_config(options.output / ADAPTER_CONFIG_FILE).source["training"]
        best = (
            "no score since corrections began, before them best "
            f"{training['validation']['score']:.2f}"
        )
    told = [
        f"stopped at epoch {status.epoch} of {status.epochs}, {best}",
        f"go on: {shlex.join(words)}",
    ]
    if is_adapter(options.output):
        told.append(f"use it: samzoo merge {shlex.quote(str(options.output))} -o model")
    return "; ".join(told)


def _check_decoder(options: TrainOptions, base: ModelConfig) -> None:
    """Refuse to train a kind of AIS decoder that the base would not take."""
    wanted, own = options.ais_decoder, base.architecture.ais_decoder
    if wanted in (None, "none") or own is None or own.type == wanted:
        return
    raise InputError(
        f"--ais-decoder: found {wanted!r}, but the base {options.base} has an AIS decoder of the "
        f"kind {own.type!r}, which training continues; omit the option"
    )


class _ShowConfig(Action):
    """Prints a config with its comments and ends, whatever else is missing."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        from samzoo.training.config import config_file

        try:
            text = config_file(values).read_text(encoding="utf-8")
        except (NotFoundError, OSError, UnicodeDecodeError) as error:
            parser.error(f"argument {option}: {error}")
        if getattr(namespace, "json", False):
            text = json.dumps({"config": text}) + "\n"
        sys.stdout.write(text)
        parser.exit()


VERB = Verb(
    purpose="finetune a base on annotated images",
    example="samzoo train --images examples/train/images --labels examples/train/labels "
    "--base base --method lora -o run",
    options=TrainOptions,
    add_options=add_options,
    run=run,
)
