"""A report's scores as an entry of a package's manifest, which its card shows.

In: a report that ``samzoo evaluate`` wrote, and a manifest. Out: the manifest with the scores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.report import merged_scores
from samzoo.runtime.formats.manifest import Manifest
from samzoo.zoo.cards.card_file import ScoreEntry
from samzoo.zoo.cards.card_header import evaluations

NEEDED = ("mean", "ap", "intervals", "n_objects", "n_images", "n_groups", "n_left_out", "command",
          "strata", "orientations", "corrections", "speed")  # fmt: skip


THIS, ADAPTER = "this model", "the adapter"
"""Subjects of a package's own scores: of its model, and, with a name, of one of its adapters."""


def with_scores(
    manifest: Manifest,
    reports: Mapping[str, Mapping[str, Any]],
    entries: Sequence[ScoreEntry],
    *,
    whole: bool,
) -> Manifest:
    """Return the manifest with scores of reports and with words for scores.

    Args:
        manifest: The package's manifest.
        reports: Contents of reports, by the path that was given.
        entries: Words for scores; those with ``report`` are about new ones. Each report has one.
        whole: The entries are all that the card shows, in this order. Otherwise scores of the same
            model on the same data and part are replaced, and all others stay.

    Returns:
        The manifest. Controls stand beside the tasks.

    Raises:
        InputError: A report has no words or is about another model, or an entry names scores that
            nobody gave.
        FormatError: A file is no report, or one from before average precision.
    """
    known = [dict(each) for each in evaluations(manifest)]
    found: list[dict[str, Any]] = []
    used: set[str] = set()
    for entry in entries:
        path = _given(entry.report, reports)
        if path is not None:
            used.add(path)
            found += _measured(manifest, reports[path], entry, path)
        else:
            found += _known(known, entry)
    missing = [path for path in reports if path not in used]
    if missing:
        raise InputError(
            f"{missing[0]}: nothing says what its images are; pass --data TEXT after --metrics, or "
            f"add an [[evaluations]] with report = {Path(missing[0]).name!r} and data to the file "
            "of --from"
        )
    newest = {_identity(each): each for each in found}
    kept = [] if whole else [each for each in known if _identity(each) not in newest]
    metrics = {**manifest.metrics, "evaluations": [*kept, *newest.values()]}
    return dataclasses.replace(manifest, metrics=metrics)


def _identity(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(key, "")) for key in ("subject", "data", "split"))


def _given(name: str, reports: Mapping[str, Any]) -> str | None:
    """Find the report that an entry names, by its path or by the last part of it."""
    if not name:
        return None
    found = [path for path in reports if name == path] or [
        path for path in reports if Path(path).name == Path(name).name
    ]
    if len(found) > 1:
        raise InputError(
            f"evaluations: report: found {shown(name)}, which fits {' and '.join(found)}; write "
            "the path as it is given to --metrics"
        )
    return found[0] if found else None


def _known(known: Sequence[dict[str, Any]], entry: ScoreEntry) -> list[dict[str, Any]]:
    """Return the scores of the package that an entry names, with its note."""
    wanted = {"data": entry.data.strip()}
    wanted |= {"subject": entry.subject.strip()} if entry.subject else {}
    wanted |= {"split": entry.split.strip()} if entry.split is not None else {}
    found = [
        each
        for each in known
        if all(str(each.get(key, "")).strip() == text for key, text in wanted.items())
    ]
    if not found:
        told = ", ".join(f"{key} {shown(text)}" for key, text in wanted.items())
        raise InputError(
            f"evaluations: {told}: the package has no such scores; pass the report "
            f"{shown(entry.report) if entry.report else 'with them'} with --metrics"
        )
    return [each if entry.note is None else {**each, "note": entry.note.strip()} for each in found]


def _measured(
    manifest: Manifest, report: Mapping[str, Any], entry: ScoreEntry, where: str
) -> list[dict[str, Any]]:
    """Return the scores of a report: of the package's own models, or of the one that is named."""
    models = report.get("models", [report])
    found = [each for each in models if isinstance(each, Mapping)] if (
        isinstance(models, list)
    ) else []  # fmt: skip
    if entry.model:
        names = [str(each.get("model")) for each in found]
        found = [each for each in found if each.get("model") == entry.model]
        if not found:
            raise InputError(
                f"{where}: has no model {shown(entry.model)}, only {', '.join(names)}; change "
                "model of [[evaluations]]"
            )
    subjects = {manifest.model.weights_digest: THIS}
    subjects |= {each.model.weights_digest: f"{ADAPTER} {each.name}" for each in manifest.adapters}
    own = [each for each in found if each.get("weights_digest") in subjects]
    subject = entry.subject.strip()
    if not subject or subject in subjects.values():
        own = [each for each in own if subjects[each["weights_digest"]] == (
            subject or subjects[each["weights_digest"]]
        )]  # fmt: skip
        if not own:
            named = ", ".join(str(each.get("weights_digest")) for each in found)
            raise InputError(
                f"{where}: is about the weights {named}, but the package {manifest.name} has "
                f"{', '.join(subjects)}; score this package: samzoo evaluate. Scores of another "
                "model may stand beside them: give it a name, as subject of [[evaluations]]"
            )
        return [_entry(each, subjects[each["weights_digest"]], entry, where) for each in own]
    if len(found) != 1:
        raise InputError(
            f"{where}: has {len(found)} models; name that of {shown(subject)} as model of "
            "[[evaluations]]"
        )
    return [_entry(found[0], subject, entry, where)]


def _entry(
    report: Mapping[str, Any], subject: str, words: ScoreEntry, where: str
) -> dict[str, Any]:
    missing = [name for name in NEEDED if name not in report]
    if missing:
        raise FormatError(
            f"{where}: has no field {missing[0]!r}, so it is no report of this version; make it "
            "again with samzoo evaluate"
        )
    split = str(report.get("part", "all images")) if words.split is None else words.split.strip()
    try:
        return {
            "subject": subject, "data": words.data.strip(), "split": split,
            "n_objects": int(report["n_objects"]), "n_left_out": int(report["n_left_out"]),
            "n_images": int(report["n_images"]), "n_groups": int(report["n_groups"]),
            "note": (words.note or "").strip(),
            "command": str(report["command"]),
            "scores": {
                task: _floats(scores)
                for task, scores in merged_scores(report["mean"], report["ap"]).items()
            },
            "ap": {task: _floats(scores) for task, scores in report["ap"].items()},
            "intervals": _intervals(report["intervals"]),
            "strata": {name: _stratum(each) for name, each in report["strata"].items()},
            "orientations": {
                name: _floats(values) for name, values in report["orientations"].items()
            },
            "corrections": {
                task: [_floats(scores) for scores in rounds]
                for task, rounds in report["corrections"].items()
            },
            "speed": _floats(report["speed"]),
        }  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise FormatError(
            f"{where}: its scores are not as samzoo evaluate writes them ({error!r}); make it again"
        ) from error


def _floats(values: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}


def _intervals(found: Mapping[str, Any]) -> dict[str, dict[str, list[float]]]:
    """Return the intervals that cards show."""
    return {
        task: {
            name: [float(low), float(high)]
            for name, (low, high) in intervals.items()
            if name in (*METRICS, *SHOWN_PRECISIONS)
        }
        for task, intervals in found.items()
    }


def _stratum(found: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: int(found[key]) for key in ("n_images", "n_groups", "n_objects")},
        "scores": {
            task: _floats(scores)
            for task, scores in merged_scores(found["mean"], found["ap"]).items()
        },
        "intervals": _intervals(found["intervals"]),
    }
