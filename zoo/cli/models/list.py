"""``samzoo list``: the available models."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from samzoo.runtime.errors import SamzooError, printable
from samzoo.zoo.cli.verb import Result, Verb
from samzoo.zoo.reports.columns import text_table

COLUMNS = ("name", "segments", "base", "method", "megabytes", "license", "scores", "from")


@dataclass(frozen=True, kw_only=True)
class ListOptions:
    """The verb has no options."""


def add_options(_: ArgumentParser) -> None:
    """Add nothing."""


def run(_: ListOptions) -> Result:
    """List the shipped models, those in the cache, and those in indexes."""
    from samzoo.runtime.formats.manifest import Manifest
    from samzoo.zoo.downloads import cache
    from samzoo.zoo.hub.model_index import locations, read_index
    from samzoo.zoo.hub.names import DEFAULT_MODEL, shipped
    from samzoo.zoo.packages.summary import summarise

    def row(name: str, manifest: Manifest, origin: str) -> Result:
        return {"name": name, **asdict(summarise(manifest)), "from": origin}

    rows = [row(listed.name, listed.manifest, "samzoo") for listed in shipped()]
    notes = []
    for package in cache.cached():
        name = next(iter(package.references), package.key)
        try:
            rows.append(row(name, Manifest.read(package.folder), "cache"))
        except SamzooError as error:
            notes.append(f"{error}; samzoo remove {name} deletes it")
    for location in locations():
        try:
            index = read_index(location)
        except SamzooError as error:
            notes.append(str(error))
            continue
        notes += index.bad.values()
        here = {row["name"] for row in rows}
        rows += [
            {"name": entry.name, **asdict(entry.summary), "from": location}
            for entry in index.models
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


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        value = " ".join(f"{task} {score:.2f}" for task, score in value.items())
    # Names come from strangers, and a row is one line.
    return printable(str(value)).replace("\n", " ")


VERB = Verb(
    purpose="list the available models",
    example="samzoo list",
    options=ListOptions,
    add_options=add_options,
    run=run,
)
