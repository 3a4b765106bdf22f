"""``samzoo pull``: download a model into the cache."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.progress import progress_bar
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class PullOptions:
    """Which model."""

    reference: str


def add_options(parser: ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "reference", metavar="REF",
        help="reference of a model: hf:ORG/NAME[@REVISION], bioimageio:NICKNAME, "
        "bioimageio:FILE.zip, or a name in an index of SAMZOO_INDEX",
    )  # fmt: skip


def run(options: PullOptions) -> Result:
    """Download a model, and the package with its encoder if it needs one."""
    from samzoo.runtime.formats.manifest import Manifest
    from samzoo.zoo.hub.references import pull, pull_encoder
    from samzoo.zoo.packages.shelf import shipped
    from samzoo.zoo.packages.summary import summarise

    reference = options.reference
    if reference in {listed.name for listed in shipped()} or Path(reference).exists():
        raise InputError(f"{reference}: is already on this machine and needs no pull")
    with progress_bar() as bar:
        folder = pull(reference, progress=bar)
        encoder = pull_encoder(folder, progress=bar)
    manifest = Manifest.read(folder)
    return {
        "text": str(folder),
        "package": str(folder),
        "name": manifest.name,
        "encoder_from": None if encoder is None else str(encoder),
        "megabytes": summarise(manifest).megabytes,
        "notes": [f"use it as --model {reference}"],
    }


VERB = Verb(
    purpose="download a model and check it, for use offline",
    example="samzoo pull hf:ORG/NAME@v1.0.0",
    options=PullOptions,
    add_options=add_options,
    run=run,
)
