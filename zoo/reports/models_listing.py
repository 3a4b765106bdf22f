"""The models that a person can choose from, in words.

In: models with where they are. Out: lines for a terminal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from samzoo.runtime.errors import printable
from samzoo.runtime.formats.fields import to_json
from samzoo.zoo.packages.summary import AdapterSummary, Summary, score_words

from .columns import text_table

SHIPPED: Final = "samzoo"
CACHED: Final = "cache"
"""Where a model is: it came with samzoo, or was pulled. Else the URL of the index that has it."""

LONGEST = 60
"""Most characters of a cell that the model's author wrote (own choice: a row stays one line)."""

HEADER = ("model", "segments", "mSA on test images (1 is perfect)", "size", "tested on")


@dataclass(frozen=True, kw_only=True)
class ListedModel:
    """A model that can be chosen.

    Attributes:
        name: What ``--model`` takes.
        place: ``SHIPPED``, ``CACHED``, or the URL of the index that has it.
        summary: Its row.
    """

    name: str
    place: str
    summary: Summary

    def facts(self) -> dict[str, Any]:
        """Return the values as JSON, numbers as numbers."""
        none: dict[str, Any] = {"tested_on": "", "adapters": []}
        return {"name": self.name, **none, **to_json(self.summary), "from": self.place}


def model_table(models: Sequence[ListedModel], *, default: str = "") -> str:
    """List models, a row each, with a row below it for each adapter of a shared package.

    Args:
        models: In the order of the rows; names and texts may come from strangers.
        default: The name of the model that runs if none is named, which is marked.

    Returns:
        Lines, the first of which says what the columns mean.
    """
    rows: list[tuple[str, ...]] = [HEADER]
    for model in models:
        rows.append(_row(model.name, model.summary, _size(model, default)))
        rows += [
            _row(f"{model.name} --adapter {each.name}", each, "in it")
            for each in model.summary.adapters
        ]
    return text_table([tuple(map(_plain, row)) for row in rows])


def _row(name: str, summary: Summary | AdapterSummary, size: str) -> tuple[str, ...]:
    several = isinstance(summary, Summary) and summary.adapters
    scores = score_words(summary.scores) or ("" if several else "not measured")
    return name, summary.segments or "?", scores, size, summary.tested_on


def _size(model: ListedModel, default: str) -> str:
    places = {SHIPPED: "installed", CACHED: "downloaded"}
    # Below a megabyte digits count: an adapter's package is that small.
    digits = 0 if model.summary.megabytes >= 1 else 1
    place = places.get(model.place, "not downloaded")
    mark = ", default" if model.name == default else ""
    return f"{model.summary.megabytes:.{digits}f} MB, {place}{mark}"


def _plain(cell: str) -> str:
    text = " ".join(printable(cell).split())
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def pull_hints(models: Iterable[ListedModel]) -> list[str]:
    """Say how to get models that are not on this computer.

    Args:
        models: As in ``model_table``.

    Returns:
        A line, or none if all are here.
    """
    missing = [model for model in models if model.place not in (SHIPPED, CACHED)]
    return [f"samzoo pull {missing[0].name} downloads that model"] if missing else []
