"""``samzoo export``: a package of one model, that runs without torch and opens in other tools."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.notes import collected_warnings
from samzoo.zoo.cli.options import (
    add_base,
    add_output,
    add_precision,
    add_qlora_base,
    add_texts,
)
from samzoo.zoo.cli.progress import step_lines
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """The model, how it is stored, and for which tools."""

    source: Path
    base: Path | None
    qlora_base: Literal["original", "dequantized"] | None
    precision: Literal["fp32", "fp16", "int8-weights", "int8"] | None
    target: tuple[str, ...]
    with_weights: bool
    name: str | None
    segments: str | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the model, the output and what is written."""
    parser.add_argument(
        "source", type=Path, metavar="MODEL-or-ADAPTER",
        help="folder of a model, an adapter or a base, or a package that holds its weights: its "
        "folder, or its name (see samzoo list)",
    )  # fmt: skip
    add_output(parser, "package folder to write")
    parser.add_argument(
        "--target", action="append", default=[], metavar="NAME",
        help="also write the model for another tool; repeat it for more tools; all writes every "
        "format that can hold the model",
    )  # fmt: skip
    add_precision(parser)
    parser.add_argument(
        "--with-weights", action="store_true",
        help="also store the weights, so that the package can be exported again",
    )  # fmt: skip
    add_texts(parser)
    add_base(parser)
    add_qlora_base(parser)


def _found(source: Path) -> Path:
    """Find the model: a folder, or the package of a name out of ``samzoo list``."""
    from samzoo.zoo.hub.names import find_here

    return source if source.exists() else find_here(str(source)) or source


def run(options: ExportOptions) -> Result:
    """Make a package."""
    from samzoo.runtime.formats.adapter import is_adapter
    from samzoo.zoo.cards.card import TOOLS
    from samzoo.zoo.cli.qlora_choice import chosen_qlora_base
    from samzoo.zoo.packages.assembly import export
    from samzoo.zoo.targets import choose_targets

    source = _found(options.source)
    if options.base is not None and not is_adapter(source):
        raise InputError(f"--base is the base of an adapter, but {source} is not one; omit it")
    with collected_warnings() as notes, step_lines() as progress:
        manifest = export(
            source,
            options.output,
            base=options.base,
            qlora_base=chosen_qlora_base(options.qlora_base, [source]),
            precision=options.precision or "fp32",
            name=options.name,
            segments=options.segments or "",
            targets=choose_targets(options.target),
            weights=options.with_weights,
            force=options.force,
            progress=progress,
        )
    return {
        "text": str(options.output),
        "package": str(options.output),
        "name": manifest.name,
        "files": [entry.path for entry in manifest.files],
        "measured": manifest.metrics.get(TOOLS, {}),
        "notes": notes,
    }


VERB = Verb(
    purpose="make a package that runs without torch, for other tools as well",
    example="samzoo export model -o package",
    options=ExportOptions,
    add_options=add_options,
    run=run,
)
