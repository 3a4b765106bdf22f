"""``samzoo card``: write a package's model card anew, with scores of a report."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """Which package, and a report whose scores it gets."""

    package: Path
    report: Path | None
    data: str | None


def add_options(parser: ArgumentParser) -> None:
    """Add the package and the report."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="package folder")
    parser.add_argument(
        "--report", type=Path, metavar="FILE.json",
        help="report of samzoo evaluate on this package: its scores and controls enter the card",
    )  # fmt: skip
    parser.add_argument(
        "--data", metavar="TEXT", help="what the images of the report are, for readers of the card"
    )


def run(options: CardOptions) -> Result:
    """Render a package's card again, and say what it lacks."""
    from samzoo.runtime.formats.files import read_json
    from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
    from samzoo.zoo.cards.card import card_problems
    from samzoo.zoo.packages.changes import update_package
    from samzoo.zoo.review.card_entry import with_report

    folder, report, data = options.package, options.report, options.data
    if (report is None) != (data is None):
        raise InputError("--report and --data belong together; give both or none")
    manifest = Manifest.read(folder)
    if report is not None and data is not None:
        manifest = with_report(manifest, read_json(report), data=data, where=str(report))
    manifest = update_package(folder, manifest)
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
