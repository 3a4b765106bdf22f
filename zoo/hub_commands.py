"""The verbs around hubs and the cache: ``pull``, ``publish``, ``list``, ``remove``.

Each takes parsed options, calls public functions, and returns a dict as ``commands.py`` says.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, SamzooError
from samzoo.runtime.manifest import Manifest

from .index import DEFAULT_MODEL, HUB_PREFIX, shipped
from .progress import ProgressBar
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
        "megabytes": megabytes(manifest),
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


def _row(name: str, manifest: Manifest, origin: str) -> Result:
    source = manifest.model.source
    return {
        "name": name,
        "segments": manifest.segments,
        "base": _field(source.get("base"), "name"),
        "method": _field(source.get("merged_from"), "method"),
        "megabytes": megabytes(manifest),
        "license": manifest.license,
        "scores": _scores(manifest),
        "from": origin,
    }


def _field(value: object, key: str) -> str:
    """A field of an object that a stranger wrote."""
    return str(value.get(key, "")) if isinstance(value, Mapping) else ""


def _scores(manifest: Manifest) -> dict[str, float]:
    """The model's own mSA by task, of its first evaluation."""
    for entry in manifest.metrics.get("evaluations") or []:
        scores = entry.get("scores") if isinstance(entry, Mapping) else None
        if isinstance(scores, Mapping):
            return {
                str(task): float(value["msa"])
                for task, value in scores.items()
                if isinstance(value, Mapping) and isinstance(value.get("msa"), int | float)
            }
    return {}


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = " ".join(f"{task} {score:.2f}" for task, score in value.items())
    # Names come from strangers: no control sequences for the terminal.
    return "".join(c if c.isprintable() else "\ufffd" for c in str(value))


def megabytes(manifest: Manifest) -> float:
    """Size of a package's files."""
    return round(sum(entry.size for entry in manifest.files) / 1e6, 1)
