"""``samzoo card``: write a package's model card, with texts of a file and scores of reports."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.options import refuse_given
from samzoo.zoo.cli.verb import Result, Verb

if TYPE_CHECKING:
    from samzoo.runtime.formats.manifest import Manifest
    from samzoo.zoo.cards.card_file import CardFile, ScoreEntry


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """Which package, and what its card gets."""

    package: Path
    template: bool
    texts: Path | None
    metrics: tuple[Path, ...]
    data: tuple[str, ...]
    cover: Path | None


def add_options(parser: ArgumentParser) -> None:
    """Add the package, and what its card gets."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="package folder")
    parser.add_argument(
        "--template", action="store_true",
        help="print the texts and fields of the card as a file to fill in; change nothing",
    )  # fmt: skip
    parser.add_argument(
        "--from", dest="texts", type=Path, metavar="FILE.toml",
        help="such a file, filled in: its texts, data sets and pictures enter the card",
    )  # fmt: skip
    parser.add_argument(
        "--metrics", type=Path, action="append", default=[], metavar="FILE.json",
        help="report of samzoo evaluate: its scores and controls enter the card; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--data", action="append", default=[], metavar="TEXT",
        help="what the images of a report are, for readers of the card: one for each --metrics, "
        "in the same order (default: what the file of --from says of it)",
    )  # fmt: skip
    parser.add_argument(
        "--cover", type=Path, metavar="IMAGE", help="image to show first, such as an overlay"
    )


def run(options: CardOptions) -> Result:
    """Print what a card can say, or write it and say what it lacks."""
    from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
    from samzoo.zoo.cards.card import card_problems
    from samzoo.zoo.cards.card_template import filled_template
    from samzoo.zoo.packages.changes import card_is_current, update_package

    folder = options.package
    manifest = Manifest.read(folder)
    if options.template:
        given: dict[str, object] = {"from": options.texts, "cover": options.cover}
        given |= {"metrics": options.metrics or None, "data": options.data or None}
        refuse_given(given, "changes the card, and --template prints a file; omit one of them")
        text = filled_template(manifest)
        return {"text": text.rstrip("\n"), "template": text}
    current = card_is_current(folder, manifest)
    changed, added = _changed(options, manifest)
    changed = update_package(folder, changed, added=added)
    path = str(folder / CARD_FILE)
    problems = card_problems(changed)
    notes = [f"before it is published: {problem}" for problem in problems]
    if not current:
        notes.insert(0, f"{path}: was not the card of the manifest, and is written anew; texts are "
                     "changed with --template and --from, not by hand")  # fmt: skip
    return {"text": path, "card": path, "missing": problems, "notes": notes}


def _changed(options: CardOptions, manifest: Manifest) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest with all that was given, and the pictures to add."""
    from samzoo.runtime.formats.files import read_json
    from samzoo.zoo.cards.card_file import CardFile, read_card_file, with_texts
    from samzoo.zoo.cards.card_pictures import with_cover, with_pictures
    from samzoo.zoo.cards.correction_curve import with_curves
    from samzoo.zoo.review.card_entry import with_scores

    added: dict[str, bytes] = {}
    file = CardFile() if options.texts is None else read_card_file(options.texts)
    reports = {str(path): read_json(path) for path in options.metrics}
    entries = _entries(options, file)
    manifest = with_texts(manifest, file)
    if entries or reports or file.evaluations is not None:
        manifest = with_scores(manifest, reports, entries, whole=file.evaluations is not None)
    if file.pictures is not None and options.texts is not None:
        manifest, added = with_pictures(manifest, file.pictures, beside=options.texts.parent)
    if options.cover is not None:
        manifest, cover = with_cover(manifest, options.cover)
        added |= cover
    manifest, curves = with_curves(manifest)
    return manifest, added | curves


def _entries(options: CardOptions, file: CardFile) -> list[ScoreEntry]:
    """Return the words for scores: those of the file, and those of ``--data``."""
    from samzoo.zoo.cards.card_file import ScoreEntry

    listed = [*(file.evaluations or ())]
    if not options.data:
        return listed
    if len(options.data) != len(options.metrics):
        raise InputError(
            f"--data: found {len(options.data)} and {len(options.metrics)} of --metrics; pass one "
            "for each report, in the same order, or none and a file of --from that names the "
            "reports"
        )
    names = {path.name for path in options.metrics}
    twice = next((each.report for each in listed if Path(each.report).name in names), "")
    if twice:
        raise InputError(f"--data: {options.texts} has words for {twice} already; omit --data")
    for path, text in zip(options.metrics, options.data, strict=True):
        if not text.strip():
            raise InputError(f"--data: found an empty text for {path}; say what its images are")
        listed.append(ScoreEntry(report=str(path), data=text))
    return listed


VERB = Verb(
    purpose="write a package's model card: texts, scores and pictures",
    example="samzoo card package",
    options=CardOptions,
    add_options=add_options,
    run=run,
)
