"""``samzoo index``: an index of packages, for others to list and pull."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output
from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class IndexOptions:
    """Which packages, and the index."""

    packages: tuple[Path, ...]
    url: str | None
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the packages and the output."""
    parser.add_argument(
        "packages", nargs="+", type=Path, metavar="PACKAGE", help="package folder to list"
    )
    parser.add_argument(
        "--url", metavar="URL",
        help="address of the folder that has the packages' folders on the web (default: they lie "
        "where they are, seen from the index)",
    )  # fmt: skip
    add_output(parser, "index file to write (.json)")


def run(options: IndexOptions) -> Result:
    """Write an index of packages."""
    from samzoo.zoo.hub.model_index import write_index

    output = options.output
    if output.suffix != ".json":
        raise InputError(f"{output}: the name of an index must end in .json")
    check_output(output, force=options.force)
    names = write_index(options.packages, output, url=options.url or "")
    return {"text": str(output), "index": str(output), "models": names}


VERB = Verb(
    purpose="write an index of packages, for others to list and pull",
    example="samzoo index package -o index.json",
    options=IndexOptions,
    add_options=add_options,
    run=run,
)
