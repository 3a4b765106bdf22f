"""``samzoo sum``: one adapter that is the weighted sum of several."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli.options import add_base, add_output
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class SumOptions:
    """The adapters, their weights and base, and the sum."""

    adapters: tuple[Path, ...]
    weights: tuple[float, ...]
    base: Path | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the adapters, their weights and base, and the output."""
    parser.add_argument(
        "adapters", nargs="+", type=Path, metavar="ADAPTER",
        help="folder of a LoRA adapter; all must have the same base",
    )  # fmt: skip
    parser.add_argument(
        "--weights", nargs="+", type=float, required=True, metavar="W",
        help="weights of the sum, one for each adapter in their order",
    )  # fmt: skip
    add_output(parser, "adapter folder to write")
    add_base(parser)


def run(options: SumOptions) -> Result:
    """Sum adapters."""
    from samzoo.zoo.merging.sums import sum_adapters

    config = sum_adapters(
        options.adapters,
        options.output,
        weights=options.weights,
        base=options.base,
        force=options.force,
    )
    output = str(options.output)
    return {"text": output, "adapter": output, "method": config.method}


VERB = Verb(
    purpose="add up LoRA adapters over one base, with weights",
    example="samzoo sum run-a run-b --weights 0.5 0.5 -o sum",
    options=SumOptions,
    add_options=add_options,
    run=run,
)
