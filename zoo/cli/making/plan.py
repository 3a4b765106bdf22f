"""``samzoo plan``: what training will need on this machine, before it is spent."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.zoo.cli.verb import Result, Verb

from .settings import add_base, add_settings, chosen_config


@dataclass(frozen=True, kw_only=True)
class PlanOptions:
    """Base, method, and the settings that decide how much a step computes."""

    base: Path
    method: str | None
    config: str
    ais_decoder: Literal["light", "unetr", "none"] | None
    image_size: int | None
    batch_size: int | None
    objects: int | None


def add_options(parser: ArgumentParser) -> None:
    """Add base, method and settings."""
    add_base(parser)
    parser.add_argument(
        "--method", metavar="NAME", help="one finetuning method (default: a row for each)"
    )
    add_settings(parser)
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS",
        help="side of the encoder's input, if samzoo convert changes it",
    )  # fmt: skip
    parser.add_argument(
        "--batch-size", type=int, metavar="N", help="crops in a batch, instead of the config's"
    )
    parser.add_argument(
        "--objects", type=int, metavar="N", help="objects in a crop, instead of the config's"
    )


def run(options: PlanOptions) -> Result:
    """Say what training will need."""
    from samzoo.zoo.reports.training_plan import plan_of_training

    config = chosen_config(options, batch_size=options.batch_size, n_objects=options.objects)
    return plan_of_training(
        options.base, config, method=options.method, image_size=options.image_size
    )


VERB = Verb(
    purpose="say what training needs here: memory, time, and which method fits",
    example="samzoo plan --base base",
    options=PlanOptions,
    add_options=add_options,
    run=run,
)
