"""``samzoo use``: choose the model that runs if none is named."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.hub.default_choice import (
    DEFAULT_MODEL,
    choose_model,
    chosen_model,
    default_model,
    settings_file,
)


@dataclass(frozen=True, kw_only=True)
class UseOptions:
    """Which model."""

    reference: str | None


def add_options(parser: ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "reference", nargs="?", metavar="REF",
        help="model to use without --model: what --model takes (default: print the present one)",
    )  # fmt: skip


def run(options: UseOptions) -> Result:
    """Choose the default model after opening its manifest, or print it."""
    from samzoo.runtime.formats.manifest import MANIFEST_FILE
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.hub.references import pull_encoder
    from samzoo.zoo.packages.shelf import find_shipped

    reference = options.reference
    if reference is not None:
        folder = resolve(reference)
        pull_encoder(folder)
        is_path = (Path(reference) / MANIFEST_FILE).is_file()
        if is_path and find_shipped(Path(reference).name) != folder:
            reference = str(folder.absolute())
        choose_model(reference)
    chosen = chosen_model()
    return {
        "text": default_model(),
        "default": default_model(),
        "shipped_default": DEFAULT_MODEL,
        "file": None if chosen is None else str(settings_file()),
    }


VERB = Verb(
    purpose="choose the model that runs if none is named, or print it",
    example="samzoo use nuclei-vit-t",
    options=UseOptions,
    add_options=add_options,
    run=run,
)
