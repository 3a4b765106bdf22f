"""The summary of a model in one row, as ``samzoo list`` and the gallery show it.

In: a manifest, possibly from a stranger. Out: a ``Summary``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.formats.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A model's row.

    Attributes:
        segments: What the model segments.
        base: Name of the base that it was finetuned from, or empty.
        method: Name of the finetuning method, or empty.
        megabytes: Size of all files together.
        license: SPDX identifier, or empty.
        scores: The first evaluation's mSA by task.
    """

    segments: str
    base: str
    method: str
    megabytes: float
    license: str
    scores: dict[str, float]


def summarise(manifest: Manifest) -> Summary:
    """Summarise a manifest, whatever its free fields hold."""
    source = manifest.model.source
    return Summary(
        segments=manifest.segments,
        base=_field(source.get("base"), "name"),
        method=_field(source.get("merged_from"), "method"),
        megabytes=round(sum(entry.size for entry in manifest.files) / 1e6, 1),
        license=manifest.license,
        scores=_scores(manifest),
    )


def _field(value: object, key: str) -> str:
    return str(value.get(key, "")) if isinstance(value, Mapping) else ""


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and -1e30 < value < 1e30  # also false for NaN


def _scores(manifest: Manifest) -> dict[str, float]:
    evaluations = manifest.metrics.get("evaluations")
    for entry in evaluations if isinstance(evaluations, list) else []:
        scores = entry.get("scores") if isinstance(entry, Mapping) else None
        if isinstance(scores, Mapping):
            # Other tasks, such as controls, are for the card.
            values = {task: scores.get(task) for task in TASKS}
            return {
                task: float(value["msa"])
                for task, value in values.items()
                if isinstance(value, Mapping) and _is_score(value.get("msa"))
            }
    return {}
