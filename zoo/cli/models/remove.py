"""``samzoo remove``: delete a downloaded model."""

from __future__ import annotations

from argparse import ArgumentParser
from dataclasses import dataclass

from samzoo.runtime.errors import InputError
from samzoo.zoo.cli.verb import Result, Verb


@dataclass(frozen=True, kw_only=True)
class RemoveOptions:
    """Which model."""

    reference: str


def add_options(parser: ArgumentParser) -> None:
    """Add the model."""
    parser.add_argument(
        "reference", metavar="REF", help="reference by which the model was pulled, or its name"
    )


def run(options: RemoveOptions) -> Result:
    """Delete a downloaded model, unless others need its encoder."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.hub.huggingface_hub import HUB_PREFIX, parse_reference
    from samzoo.zoo.packages.encoder_package import dependents
    from samzoo.zoo.packages.shelf import shipped

    reference = options.reference
    if reference in {listed.name for listed in shipped()}:
        raise InputError(f"{reference}: ships with samzoo, and is not in the cache")
    if reference.startswith(HUB_PREFIX):
        reference = str(parse_reference(reference))  # as it is remembered, with its branch
    needed_by = dependents(cache.folder_of(reference))
    if needed_by:
        raise InputError(
            f"{options.reference}: has the encoder that {', '.join(needed_by)} need; remove those "
            "first"
        )
    folders = [str(folder) for folder in cache.remove(reference)]
    return {"text": "\n".join(folders), "removed": folders}


VERB = Verb(
    purpose="delete a downloaded model",
    example="samzoo remove hf:ORG/NAME@v1.0.0",
    options=RemoveOptions,
    add_options=add_options,
    run=run,
)
