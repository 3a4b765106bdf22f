"""``samzoo show``: a model's card."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.errors import printable
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
    """Print a model's card; of a model that was not pulled, only what describes it is read."""
    from samzoo.runtime.formats.manifest import Manifest
    from samzoo.zoo.downloads.retrieval import read_description
    from samzoo.zoo.hub.names import remote_place, resolve
    from samzoo.zoo.packages.changes import read_card

    place = remote_place(options.reference)
    if place is not None:
        manifest, text = read_description(place)
        size = sum(entry.size for entry in manifest.files)
        found: Result = {"folder": None, "download_bytes": size}
        notes = [
            f"not on this computer; samzoo pull {options.reference} downloads {size / 1e6:.1f} MB"
        ]
    else:
        folder = resolve(options.reference)
        manifest, text = Manifest.read(folder), read_card(folder)
        found, notes = {"folder": str(folder)}, []
    text = f"{manifest.name}: no card" if text is None else text
    result = {"text": printable(text), **found, "manifest": to_json(manifest)}
    return {**result, "notes": notes} if notes else result


VERB = Verb(
    purpose="print a model's card",
    example="samzoo show nuclei-vit-t",
    options=ShowOptions,
    add_options=add_options,
    run=run,
)
