"""``samzoo show``: a model's card."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.formats.fields import to_json
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class ShowOptions:
    """Which model."""

    reference: str


def add_options(parser: ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "reference", metavar="REF", help="model name (see samzoo list) or package folder"
    )


def run(options: ShowOptions) -> Result:
    """Print a model's card."""
    from samzoo.runtime.formats.manifest import CARD_FILE, Manifest
    from samzoo.zoo.hub.names import resolve

    folder = resolve(options.reference)
    manifest = Manifest.read(folder)
    card = folder / CARD_FILE
    text = f"{manifest.name}: no card"
    if card.is_file():
        text = card.read_text(encoding="utf-8", errors="replace")
    # A card comes from a stranger: no control sequences for the terminal.
    text = "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)
    return {"text": text, "folder": str(folder), "manifest": to_json(manifest)}


VERB = Verb(
    purpose="print a model's card",
    example="samzoo show nuclei-vit-t",
    options=ShowOptions,
    add_options=add_options,
    run=run,
)
