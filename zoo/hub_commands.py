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
from samzoo.runtime.manifest import Manifest

from .index import DEFAULT_MODEL, HUB_PREFIX, resolve, shipped
from .progress import ProgressBar
from .summary import summarise
from .text_table import text_table

Result = dict[str, Any]

COLUMNS = ("name", "segments", "base", "method", "megabytes", "license", "scores", "from")


def pull(options: Namespace) -> Result:
    """Download a model into the cache."""
    from .hub import pull_from_hub

    if not options.reference.startswith(HUB_PREFIX):
        raise InputError(
            f"{options.reference}: expected hf:ORG/NAME[@REVISION]; models that ship with samzoo "
            "and folders need no pull"
        )
    bar = ProgressBar()
    try:
        folder = pull_from_hub(options.reference, progress=bar)
    finally:
        bar.close()
    manifest = Manifest.read(folder)
    return {
        "text": str(folder),
        "package": str(folder),
        "name": manifest.name,
        "megabytes": summarise(manifest).megabytes,
        "notes": [f"use it as --model {options.reference}"],
    }


def publish(options: Namespace) -> Result:
    """Publish a package."""
    from .publish import publish as publish_package

    return publish_package(
        Path(options.package), options.to, version=options.version, dry_run=options.dry_run,
        force=options.force,
    )  # fmt: skip


def remove(options: Namespace) -> Result:
    """Delete a downloaded model."""
    from . import cache

    if options.reference in {listed.name for listed in shipped()}:
        raise InputError(f"{options.reference}: ships with samzoo, and is not in the cache")
    folders = [str(folder) for folder in cache.remove(options.reference)]
    return {"text": "\n".join(folders), "removed": folders}


def list(options: Namespace) -> Result:
    """List the models that can be named: those that ship with samzoo, and those in the cache."""
    from . import cache

    rows = [_row(listed.name, listed.manifest, "samzoo") for listed in shipped()]
    notes = []
    for package in cache.cached():
        name = next(iter(package.references), package.key)
        try:
            rows.append(_row(name, Manifest.read(package.folder), "cache"))
        except SamzooError as error:
            notes.append(f"{error}; samzoo remove {name} deletes it")
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
    from . import cache
    from .gallery import write_gallery

    packages = {reference: resolve(reference) for reference in options.packages}
    if not packages:
        packages = {listed.name: listed.folder for listed in shipped()}
        for package in cache.cached():
            packages[next(iter(package.references), package.key)] = package.folder
    output = Path(options.output)
    result = write_gallery(packages, output, force=options.force)
    page = str(output / "index.html")
    return {"text": page, "page": page, "models": result["models"], "notes": result["problems"]}


def _row(name: str, manifest: Manifest, origin: str) -> Result:
    return {"name": name, **asdict(summarise(manifest)), "from": origin}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = " ".join(f"{task} {score:.2f}" for task, score in value.items())
    # Names come from strangers: no control sequences for the terminal.
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))
