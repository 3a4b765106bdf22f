"""The summary of a model in one row, as ``samzoo list``, indexes and the gallery show it.

In: a manifest, possibly from a stranger. Out: a ``Summary``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.fields import IF_SET
from samzoo.runtime.formats.manifest import AdapterEntry, Manifest

OWN = "this model"
"""How an evaluation names its subject if that is the package's own model, not a control."""

TASK_WORDS = {"ais": "automatic", "point": "click", "box": "box"}
"""The tasks that a row names, in words; corrected prompts are for the card (own choice)."""

NOT_A_TEST = ("train", "val")
"""Beginnings of the names of splits on which a model was trained or chosen."""


@dataclass(frozen=True, kw_only=True)
class AdapterSummary:
    """The row of one of several models over an encoder.

    Attributes:
        name: What ``--adapter`` takes.
        segments: As in ``Summary``.
        license: As in ``Summary``.
        scores: As in ``Summary``.
        tested_on: As in ``Summary``.
    """

    name: str
    segments: str
    license: str
    scores: dict[str, float]
    tested_on: str = ""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A model's row.

    Attributes:
        segments: What the model segments.
        base: Name of the base that it was finetuned from, or empty.
        method: Name of the finetuning method, or empty.
        megabytes: Size of all files together.
        license: SPDX identifier, or empty.
        scores: mSA by task, of the first evaluation on images that the model was neither trained
            nor chosen on, as far as the evaluation says so.
        tested_on: The images of that evaluation, or empty.
        adapters: The models of a package with several. A package with one adapter is that model:
            its row says what the adapter says.
    """

    segments: str
    base: str
    method: str
    megabytes: float
    license: str
    scores: dict[str, float]
    tested_on: str = field(default="", metadata={IF_SET: True})
    adapters: tuple[AdapterSummary, ...] = field(default=(), metadata={IF_SET: True})


def summarise(manifest: Manifest) -> Summary:
    """Summarise a manifest, whatever its free fields hold."""
    source = manifest.model.source
    scores, tested_on = _scores(manifest.metrics, OWN)
    adapters = tuple(_adapter(entry, manifest) for entry in manifest.adapters)
    segments, license = manifest.segments, manifest.license
    if len(adapters) == 1:
        (only,), adapters = adapters, ()
        source = manifest.adapters[0].model.source
        segments, license = segments or only.segments, license or only.license
        if not scores:
            scores, tested_on = only.scores, only.tested_on
    return Summary(
        segments=segments,
        base=_field(source.get("base"), "name"),
        method=_field(source.get("merged_from"), "method"),
        megabytes=round(sum(entry.size for entry in manifest.files) / 1e6, 1),
        license=license,
        scores=scores,
        tested_on=tested_on,
        adapters=adapters,
    )


def _adapter(entry: AdapterEntry, manifest: Manifest) -> AdapterSummary:
    """Summarise an adapter; ``samzoo card`` keeps its scores with those of its package."""
    scores, tested_on = _scores(entry.metrics, OWN)
    if not scores:
        scores, tested_on = _scores(manifest.metrics, f"the adapter {entry.name}")
    return AdapterSummary(
        name=entry.name,
        segments=entry.segments,
        license=entry.license,
        scores=scores,
        tested_on=tested_on,
    )


def _field(value: object, key: str) -> str:
    return str(value.get(key, "")) if isinstance(value, Mapping) else ""


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and -1e30 < value < 1e30  # also false for NaN


def _scores(metrics: Mapping[str, Any], subject: str) -> tuple[dict[str, float], str]:
    """Return mSA by task, and on which images, of the first test of a subject."""
    for entry in _tests(metrics, subject):
        # Other tasks, such as controls, are for the card.
        values = {task: entry["scores"].get(task) for task in TASKS}
        scores = {
            task: float(value["msa"])
            for task, value in values.items()
            if isinstance(value, Mapping) and _is_score(value.get("msa"))
        }
        if scores:
            return scores, str(entry.get("data", ""))
    return {}, ""


def _tests(metrics: Mapping[str, Any], subject: str) -> Iterator[Mapping[str, Any]]:
    evaluations = metrics.get("evaluations")
    for entry in evaluations if isinstance(evaluations, list) else []:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("scores"), Mapping):
            continue
        split = str(entry.get("split", "")).lower()
        if entry.get("subject", OWN) == subject and not split.startswith(NOT_A_TEST):
            yield entry


def score_words(scores: Mapping[str, float]) -> str:
    """Say scores in words.

    >>> score_words({"ais": 0.7326, "point": 0.605, "ip": 0.71})
    'automatic 0.73, click 0.60'
    """
    words = (f"{word} {scores[task]:.2f}" for task, word in TASK_WORDS.items() if task in scores)
    return ", ".join(words)
