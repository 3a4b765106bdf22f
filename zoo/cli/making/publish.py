"""``samzoo publish``: publish a package under a fixed version."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.verb import Result, Verb

DEFAULT_VERSION = "1.0.0"


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """The package and its destination."""

    package: Path
    to: str
    version: str | None
    dry_run: bool
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the package and its destination."""
    parser.add_argument("package", type=Path, metavar="PACKAGE", help="package folder")
    parser.add_argument(
        "--to", required=True, metavar="WHERE",
        help="destination: huggingface:ORG/NAME or bioimageio:FILE.zip",
    )  # fmt: skip
    parser.add_argument(
        "--version", help=f"version on Hugging Face, three numbers (default: {DEFAULT_VERSION})"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only check the package; publish nothing"
    )
    parser.add_argument("--force", action="store_true", help="replace an existing zip")


def run(options: PublishOptions) -> Result:
    """Publish a package."""
    from samzoo.zoo.hub.publication import BIOIMAGEIO, HUB, publish

    if options.force and options.to.startswith(HUB):
        raise InputError("--force replaces a zip; a version on Hugging Face is published once")
    if options.version is not None and options.to.startswith(BIOIMAGEIO):
        raise InputError("--version is for Hugging Face; a BioImage.IO zip takes none")
    return publish(
        options.package, options.to, version=options.version or DEFAULT_VERSION,
        dry_run=options.dry_run, force=options.force,
    )  # fmt: skip


VERB = Verb(
    purpose="publish a package under a fixed version",
    example="samzoo publish package --to huggingface:ORG/NAME --version 1.0.0",
    options=PublishOptions,
    add_options=add_options,
    run=run,
)
