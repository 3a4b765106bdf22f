"""``samzoo plan``: what training will need on this machine, before it is spent."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from pathlib import Path
from typing import Literal

from samzoo.zoo.cli.verb import Result, Verb


@dataclasses.dataclass(frozen=True, kw_only=True)
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
    parser.add_argument(
        "--base", required=True, type=Path, metavar="BASE", help="base folder to finetune"
    )
    parser.add_argument(
        "--method", metavar="NAME", help="one finetuning method (default: a row for each)"
    )
    parser.add_argument(
        "--config", default="laptop", metavar="FILE.toml",
        help="file with the settings, or a preset: laptop (default), paper",
    )  # fmt: skip
    parser.add_argument(
        "--ais-decoder", choices=("light", "unetr", "none"),
        help="AIS decoder to train, instead of the config's; a base that has one keeps its own",
    )  # fmt: skip
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
    from samzoo.training import TrainConfig
    from samzoo.zoo.reports.training_plan import plan_of_training

    config = TrainConfig.read(options.config)
    config = dataclasses.replace(
        config,
        batch_size=config.batch_size if options.batch_size is None else options.batch_size,
        n_objects=config.n_objects if options.objects is None else options.objects,
    )
    if options.ais_decoder is not None:
        config = config.with_ais_decoder(options.ais_decoder)
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
