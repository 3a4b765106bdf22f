"""``samzoo annotate``: a page in the browser on which labels are made and corrected."""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.options import add_diameter, add_model, add_output, add_plane
from samzoo.zoo.cli.progress import say
from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.hub.default_choice import default_model


@dataclass(frozen=True, kw_only=True)
class AnnotateOptions:
    """Images, where labels go, the model, and the page's port."""

    images: Path
    output: Path | None
    model: str | None
    adapter: str | None
    threads: int | None
    provider: str
    diameter: float | Literal["auto", "own"] | None
    level: int | None
    series: int | None
    channel: str | None
    plane: int | None
    port: int


MOST_PIXELS = 2**24
"""Pixels of an image on the page, 4096 x 4096: a browser draws it as a whole (own choice)."""


def add_options(parser: ArgumentParser) -> None:
    """Add images and output, the model, the plane, and the port."""
    parser.add_argument(
        "images", type=Path, metavar="IMAGE-or-FOLDER",
        help="image file, or folder of images, which are annotated one after the other",
    )  # fmt: skip
    add_output(
        parser, "folder of the results: labels/NAME.tif of each image, as from samzoo segment, "
        "whose labels are corrected there (default: the folder of the images)",
        force=False, required=False,
    )  # fmt: skip
    add_model(parser)
    add_diameter(parser)
    add_plane(parser)
    parser.add_argument(
        "--port", type=int, default=0, metavar="N",
        help="port of the page on this computer (default: a free one)",
    )  # fmt: skip


def run(options: AnnotateOptions) -> Result:
    """Serve the page until the user quits."""
    from samzoo.runtime.dependencies import require_installed
    from samzoo.zoo.annotation.collection import Collection
    from samzoo.zoo.annotation.session import AnnotationSession, Reading
    from samzoo.zoo.cli.model_loading import load_named

    for package in ("starlette", "uvicorn"):
        require_installed(package, extra="annotate")
    if not 0 <= options.port < 2**16:
        raise InputError(f"--port: found {options.port}, allowed is 0 to 65535")
    collection = Collection(options.images, options.output)
    if collection.left_out:
        say(f"{collection.left_out} files that are no images are left out")
    # The session sizes the model: a person may choose another diameter on the page.
    model = load_named(options.model, dataclasses.replace(options, diameter=None))
    session = AnnotationSession(
        collection, model, model_name=options.model or default_model(),
        diameter=options.diameter,
        reading=Reading(
            level=options.level, series=options.series, channel=options.channel,
            plane=options.plane, most_pixels=MOST_PIXELS,
        ),
    )  # fmt: skip
    from samzoo.zoo.annotation_page.serving import serve

    serve(session, port=options.port, ready=_tell)
    labels = collection.output / "labels"
    return {"text": str(labels), "labels": str(labels), "images": len(collection.images)}


def _tell(address: str) -> None:
    say(f"open {address} in a browser on this computer; Quit there, or Ctrl-C here, ends it")


VERB = Verb(
    purpose="make and correct labels on a page in the browser",
    example="samzoo annotate examples/nuclei.tif -o annotated",
    options=AnnotateOptions,
    add_options=add_options,
    run=run,
)
