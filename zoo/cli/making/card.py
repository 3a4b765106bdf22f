"""``samzoo card``: write a package's model card anew."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """Which package."""

    package: Path


def add_options(parser: ArgumentParser) -> None:
    """Add the package."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="package folder")


def run(options: CardOptions) -> Result:
    """Render a package's card again, and say what it lacks."""
    from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
    from samzoo.zoo.packages.card import card_problems
    from samzoo.zoo.packages.changes import update_package

    folder = options.package
    manifest = update_package(folder, Manifest.read(folder))
    path = str(folder / CARD_FILE)
    problems = card_problems(manifest)
    notes = [f"before it is published: {problem}" for problem in problems]
    return {"text": path, "card": path, "missing": problems, "notes": notes}


VERB = Verb(
    purpose="write a package's model card anew from its manifest",
    example="samzoo card package",
    options=CardOptions,
    add_options=add_options,
    run=run,
)
