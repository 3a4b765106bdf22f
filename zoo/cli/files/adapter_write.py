"""``samzoo adapter write``: an adapter for another tool."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.zoo.cli.options import add_base, add_output
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class AdapterWriteOptions:
    """The adapter, its base, the tool, and the file."""

    adapter: Path
    to: Literal["peft", "peft-segment-anything", "micro-sam"]
    base: Path | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the adapter, its base, the tool, and the file."""
    parser.add_argument("adapter", type=Path, metavar="ADAPTER", help="adapter folder")
    parser.add_argument(
        "--to", required=True, choices=("peft", "peft-segment-anything", "micro-sam"),
        help="tool that the adapter is written for: Hugging Face's peft over its SamModel, peft "
        "over segment-anything's Sam, or micro-sam",
    )  # fmt: skip
    add_output(parser, "file (.pt) for micro-sam, or folder for peft")
    add_base(parser)


def run(options: AdapterWriteOptions) -> Result:
    """Write an adapter for another tool."""
    from samzoo.zoo.cli.artefacts import require_adapter
    from samzoo.zoo.exchange.writing import write_foreign_adapter

    require_adapter(options.adapter)
    output = str(options.output)
    result = write_foreign_adapter(
        options.adapter, options.output, to=options.to, base=options.base, force=options.force
    )
    notes = list(result["notes"])
    arguments = result.get("peft_kwargs")
    if arguments is not None:
        notes.append(
            f"load it with micro_sam.util.get_sam_model(..., peft_kwargs={arguments}), where "
            "peft_module is the class of that name in micro_sam.models.peft_sam"
        )
    return {"text": output, "output": output, **result, "notes": notes}


VERB = Verb(
    purpose="write an adapter for peft or micro-sam",
    example="samzoo adapter write run --to peft -o peft",
    options=AdapterWriteOptions,
    add_options=add_options,
    run=run,
)
