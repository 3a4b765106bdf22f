"""``samzoo adapter read``: an adapter of another tool, checked against its base."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class AdapterReadOptions:
    """The file, its base, what the file does not say, and the adapter."""

    file: Path
    base: Path
    method: str | None
    alpha: float | None
    image_size: int | None
    key: str | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the file, its base, what the file does not say, and the adapter."""
    parser.add_argument(
        "file", type=Path, metavar="FILE",
        help="checkpoint of micro-sam, file of CellSeg1 or SAMed, or folder of Hugging Face's peft",
    )  # fmt: skip
    parser.add_argument(
        "--base", type=Path, required=True, metavar="BASE",
        help="base folder that the adapter was trained on",
    )  # fmt: skip
    add_output(parser, "adapter folder to write")
    parser.add_argument(
        "--method", metavar="NAME",
        help="finetuning method of the adapter (default: told by the file)",
    )  # fmt: skip
    parser.add_argument(
        "--alpha", type=float, help="alpha of AdaptFormer, if it was fixed during training"
    )
    parser.add_argument(
        "--image-size", type=int, metavar="PIXELS",
        help="image size that CellSeg1 or SAMed was trained at (default: 512)",
    )  # fmt: skip
    parser.add_argument(
        "--key", metavar="KEY",
        help="which one of a file with several, such as model_ema (keys joined by dots)",
    )  # fmt: skip


def run(options: AdapterReadOptions) -> Result:
    """Read an adapter."""
    from samzoo.zoo.exchange.reading import read_foreign_adapter

    config = read_foreign_adapter(
        options.file,
        options.output,
        base=options.base,
        method=options.method,
        alpha=options.alpha,
        image_size=options.image_size,
        key=options.key,
        force=options.force,
    )
    return {
        "text": str(options.output),
        "adapter": str(options.output),
        "method": config.method,
        "hyperparameters": config.hyperparameters,
        "notes": [f"method: {config.method}", *config.source.get("notes", ())],
    }


VERB = Verb(
    purpose="read an adapter of micro-sam, peft or CellSeg1",
    example="samzoo adapter read vit_b_lora.pt --base base -o adapter",
    options=AdapterReadOptions,
    add_options=add_options,
    run=run,
)
