"""``samzoo gallery``: a static page of models."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path

from samzoo.zoo.cli.options import add_output
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class GalleryOptions:
    """The packages and the output."""

    packages: tuple[str, ...]
    output: Path
    force: bool


def add_options(parser: ArgumentParser) -> None:
    """Add the packages and the output."""
    parser.add_argument(
        "packages", nargs="*", metavar="REF",
        help="name or folder of a package to show (default: all that samzoo list shows)",
    )  # fmt: skip
    add_output(parser, "folder to write the page into")


def run(options: GalleryOptions) -> Result:
    """Write a static page of models."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.gallery.site import write_gallery
    from samzoo.zoo.hub.names import resolve
    from samzoo.zoo.packages.shelf import shipped

    packages = {reference: resolve(reference) for reference in options.packages}
    if not packages:
        packages = {listed.name: listed.folder for listed in shipped()}
        for package in cache.cached():
            packages[next(iter(package.references), package.key)] = package.folder
    result = write_gallery(packages, options.output, force=options.force)
    page = str(options.output / "index.html")
    return {"text": page, "page": page, "models": result["models"], "notes": result["problems"],
            "exit": 4 if result["problems"] else 0}  # fmt: skip


VERB = Verb(
    purpose="write a static page of models",
    example="samzoo gallery -o site",
    options=GalleryOptions,
    add_options=add_options,
    run=run,
)
