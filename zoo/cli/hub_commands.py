"""The verbs around hubs and the cache: ``pull``, ``publish``, ``list``, ``remove``, ``gallery``.

Each takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, SamzooError
from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.formats.outputs import check_output
from samzoo.zoo.hub.huggingface_hub import HUB_PREFIX
from samzoo.zoo.hub.names import DEFAULT_MODEL, resolve, shipped
from samzoo.zoo.packages.summary import summarise
from samzoo.zoo.reports.columns import text_table

from .progress import progress_bar

Result = dict[str, Any]

COLUMNS = ("name", "segments", "base", "method", "megabytes", "license", "scores", "from")


def pull(options: Namespace) -> Result:
    """Download a model into the cache."""
    from samzoo.zoo.hub.references import pull as pull_reference
    from samzoo.zoo.hub.references import pull_encoder

    reference = options.reference
    if reference in {listed.name for listed in shipped()} or Path(reference).exists():
        raise InputError(f"{reference}: is here already, and needs no pull")
    with progress_bar() as bar:
        folder = pull_reference(reference, progress=bar)
        encoder = pull_encoder(folder, progress=bar)
    manifest = Manifest.read(folder)
    return {
        "text": str(folder),
        "package": str(folder),
        "name": manifest.name,
        "encoder_from": None if encoder is None else str(encoder),
        "megabytes": summarise(manifest).megabytes,
        "notes": [f"use it as --model {options.reference}"],
    }


def publish(options: Namespace) -> Result:
    """Publish a package."""
    from samzoo.zoo.hub.publication import publish as publish_package

    return publish_package(
        Path(options.package), options.to, version=options.version, dry_run=options.dry_run,
        force=options.force,
    )  # fmt: skip


def remove(options: Namespace) -> Result:
    """Delete a downloaded model."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.hub.huggingface_hub import parse_reference
    from samzoo.zoo.packages.encoder_package import dependents

    if options.reference in {listed.name for listed in shipped()}:
        raise InputError(f"{options.reference}: ships with samzoo, and is not in the cache")
    reference = options.reference
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


def list(options: Namespace) -> Result:
    """List the models that can be named: shipped ones, those in the cache, and in indexes."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.hub.model_index import locations, read_index

    rows = [_row(listed.name, listed.manifest, "samzoo") for listed in shipped()]
    notes = []
    for package in cache.cached():
        name = next(iter(package.references), package.key)
        try:
            rows.append(_row(name, Manifest.read(package.folder), "cache"))
        except SamzooError as error:
            notes.append(f"{error}; samzoo remove {name} deletes it")
    for location in locations():
        try:
            entries = read_index(location)
        except SamzooError as error:
            notes.append(str(error))
            continue
        here = {row["name"] for row in rows}
        rows += [
            {"name": entry.name, **asdict(entry.summary), "from": location}
            for entry in entries
            if entry.name not in here
        ]
    cells = [COLUMNS, *(tuple(_text(row[key]) for key in COLUMNS) for row in rows)]
    return {
        "text": text_table(cells),
        "models": rows,
        "cache": str(cache.cache_folder()),
        "default": DEFAULT_MODEL,
        "notes": notes,
    }


def gallery(options: Namespace) -> Result:
    """Write a static page of models."""
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.gallery.site import write_gallery

    packages = {reference: resolve(reference) for reference in options.packages}
    if not packages:
        packages = {listed.name: listed.folder for listed in shipped()}
        for package in cache.cached():
            packages[next(iter(package.references), package.key)] = package.folder
    output = Path(options.output)
    result = write_gallery(packages, output, force=options.force)
    page = str(output / "index.html")
    return {"text": page, "page": page, "models": result["models"], "notes": result["problems"]}


def index(options: Namespace) -> Result:
    """Write an index of packages."""
    from samzoo.zoo.hub.model_index import write_index

    output = Path(options.output)
    if output.suffix != ".json":
        raise InputError(f"{output}: indexes are written as .json; name it so")
    check_output(output, force=options.force)
    names = write_index([Path(package) for package in options.packages], output)
    return {"text": str(output), "index": str(output), "models": names}


def _row(name: str, manifest: Manifest, origin: str) -> Result:
    return {"name": name, **asdict(summarise(manifest)), "from": origin}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = " ".join(f"{task} {score:.2f}" for task, score in value.items())
    # Names come from strangers: no control sequences for the terminal.
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))
