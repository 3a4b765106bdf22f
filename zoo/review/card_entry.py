"""A report's scores as an entry of a package's manifest, which its card shows.

In: a report that ``samzoo evaluate`` wrote, and a manifest. Out: the manifest with the scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.evaluation.report import merged_scores
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card_header import evaluations

from .score_table import WITH_INTERVAL, about_intervals

NEEDED = ("mean", "ap", "intervals", "n_objects", "n_images", "n_groups", "n_left_out", "command")


def with_report(
    manifest: Manifest, report: Mapping[str, Any], *, data: str, where: str
) -> Manifest:
    """Return the manifest with the scores of a report.

    Scores of the same model on the same data and part are replaced; all others stay.

    Args:
        manifest: The package's manifest.
        report: The content of a report; of one with several models, the package's own is taken.
        data: What the images are, for readers of the card.
        where: Names the report in messages.

    Returns:
        The manifest. Controls stand beside the tasks, with the intervals in a note.

    Raises:
        InputError: The report is about another model.
        FormatError: It is no report, or one from before average precision.
    """
    reports = report.get("models", [report])
    found = [each for each in reports if isinstance(each, Mapping)]
    subjects = {manifest.model.weights_digest: "this model"}
    subjects |= {
        each.model.weights_digest: f"the adapter {each.name}" for each in manifest.adapters
    }
    own = [each for each in found if each.get("weights_digest") in subjects]
    if not own:
        named = ", ".join(str(each.get("weights_digest")) for each in found)
        raise InputError(
            f"{where}: is about the weights {named}, but the package {manifest.name} has "
            f"{', '.join(subjects)}; score this package: samzoo evaluate"
        )
    entries = [_entry(each, subjects[each["weights_digest"]], data, where) for each in own]
    replaced = [_identity(each) for each in entries]
    kept = [dict(each) for each in evaluations(manifest) if _identity(each) not in replaced]
    metrics = {**manifest.metrics, "evaluations": [*kept, *entries]}
    return dataclasses.replace(manifest, metrics=metrics)


def _identity(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in ("subject", "data", "split"))


def _entry(report: Mapping[str, Any], subject: str, data: str, where: str) -> dict[str, Any]:
    missing = [name for name in NEEDED if name not in report]
    if missing:
        raise FormatError(
            f"{where}: has no field {missing[0]!r}, so it is no report of this version; make it "
            "again with samzoo evaluate"
        )
    try:
        return {
            "subject": subject, "data": data, "split": str(report.get("part", "all images")),
            "n_objects": int(report["n_objects"]), "n_left_out": int(report["n_left_out"]),
            "note": _note(report), "command": str(report["command"]),
            "scores": {
                task: {name: float(value) for name, value in scores.items()}
                for task, scores in merged_scores(report["mean"], report["ap"]).items()
            },
        }  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: its scores are not as samzoo evaluate writes them ({error!r}); make it again"
        ) from error


def _note(report: Mapping[str, Any]) -> str:
    if not report["intervals"]:
        return ""
    parts = [
        f"{task} {name} {low:.3f} to {high:.3f}"
        for task, intervals in report["intervals"].items()
        for name, (low, high) in intervals.items()
        if name in WITH_INTERVAL
    ]
    return f"{about_intervals(report['n_groups'], report['n_images'])}: {', '.join(parts)}."
