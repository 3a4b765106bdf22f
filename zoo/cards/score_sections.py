"""The scores on a card: at a glance beside controls, then in detail, as reports gave them.

In: a ``Manifest``. Out: lines of Markdown. Entries of older packages, without intervals,
have only their table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import IOU_PERCENT, SHOWN_PRECISIONS
from samzoo.runtime.evaluation.tasks import CONTROLS, TASKS
from samzoo.runtime.evaluation.verdict import about_controls
from samzoo.runtime.formats.manifest import Manifest

from .card_header import evaluations
from .card_pictures import CURVE
from .correction_curve import score_curves
from .markdown_tables import cell, picture, table

WORDS = {
    "ais": "automatic", "point": "one point", "box": "one box",
    "ip": "one point, then corrections", "ib": "one box, then corrections",
}  # fmt: skip
"""The tasks in words."""

GLANCE = {"msa": "mSA", "ap50": "AP at IoU 0.50", "dice": "Dice"}
"""The scores of the first table, and their headings."""

MEASURED = "n_groups"
"""Key of the entries that have everything which a report of today brings."""

LEGEND = (
    "1 is perfect and 0 useless. mSA is the mean over images and over IoU thresholds from 0.50 to "
    "0.95 of TP / (TP + FP + FN); AP is the same over the objects of all images together. In "
    "brackets stands the 95 % interval: which scores other test images of the kind would give. A "
    "control needs no learning; a model should be better."
)

Entry = Mapping[str, Any]


def score_lines(manifest: Manifest) -> list[str]:
    """Write the section of scores: a part for each data set, in the manifest's order.

    Args:
        manifest: The package's manifest.

    Returns:
        The section; nothing without scores.
    """
    lines: list[str] = []
    shown: set[tuple[str, str]] = set()
    found = evaluations(manifest)
    for entry in found:
        if MEASURED not in entry:
            lines += _plain(entry)
            continue
        place = _place(entry)
        if place in shown:
            continue
        shown.add(place)
        lines += _data_set([each for each in found if MEASURED in each and _place(each) == place])
    legend = ["", LEGEND] if shown else []
    return ["", "## Scores", *legend, *lines] if lines else []


def _place(entry: Entry) -> tuple[str, str]:
    return str(entry.get("data", "")), str(entry.get("split", ""))


def _data_set(entries: Sequence[Entry]) -> list[str]:
    """Write all scores on one data set: at a glance, then those of each subject."""
    first = entries[0]
    lines = ["", f"### {cell(', '.join(filter(None, _place(first))))}", ""]
    images, groups = first.get("n_images", 0), first[MEASURED]
    counted = f"{images} {'image' if images == 1 else 'images'}" + (
        f" in {groups} groups" if groups != images else ""
    )
    lines += [f"{counted}, {first.get('n_objects', '?')} objects{_left_out(first)}."]
    for entry in entries:
        lines += _at_a_glance(entry, [each for each in entries if each is not entry])
    for entry in entries:
        lines += _details(entry, several=len(entries) > 1)
    return lines


def _at_a_glance(entry: Entry, others: Sequence[Entry]) -> list[str]:
    """Write the main scores of each task beside the best control and other subjects.

    Only models of the package have such a table; what they are compared with is in its columns.
    """
    if not _is_own(entry):
        return []
    scores = entry["scores"]
    beside = [each for each in others if not _is_own(each)]
    header = [
        str(entry.get("subject", "")),
        *(f"{name} (95 %)" for name in GLANCE.values()),
        "best control, mSA",
        *(f"{cell(str(each.get('subject', '')))}, mSA" for each in beside),
    ]
    rows = [
        [
            f"{WORDS[task]} (`{task}`)",
            *(_with_interval(entry, task, name) for name in GLANCE),
            _best_control(scores, task),
            *(_number(each["scores"].get(task, {}), "msa") for each in beside),
        ]
        for task in TASKS
        if task in scores
    ]
    return ["", *table(header, rows)]


def _is_own(entry: Entry) -> bool:
    subject = str(entry.get("subject", ""))
    return subject == "this model" or subject.startswith("the adapter ")


def _with_interval(entry: Entry, task: str, name: str) -> str:
    value = _number(entry["scores"][task], name)
    ends = entry.get("intervals", {}).get(task, {}).get(name)
    return f"{value} ({ends[0]:.3f} to {ends[1]:.3f})" if ends and value != "-" else value


def _number(scores: Mapping[str, Any], name: str) -> str:
    return f"{float(scores[name]):.3f}" if name in scores else "-"


def _best_control(scores: Mapping[str, Any], task: str) -> str:
    found = {name: float(scores[name]["msa"]) for name, of in CONTROLS.items()
             if of == task and name in scores}  # fmt: skip
    best = max(found, key=lambda name: found[name], default="")
    return f"{best} {found[best]:.3f}" if best else "-"


def _details(entry: Entry, *, several: bool) -> list[str]:
    """Write all else that is known of a subject; what it is compared with is told briefly."""
    lines = [""]
    own = _is_own(entry)
    if several or not own:
        lines += [f"**{cell(str(entry.get('subject', '')))}**", ""]
    lines += [line for note in about_controls(entry["scores"]) for line in (note, "")]
    lines += [entry["note"], ""] if entry.get("note") else []
    if own:
        lines += [*_corrections(entry), *_orientations(entry), *_strata(entry), *_speed(entry)]
    lines += [*_all_scores(entry), *(_thresholds(entry) if own else [])]
    lines += [f"Command: `{entry['command']}`"] if entry.get("command") else []
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _corrections(entry: Entry) -> list[str]:
    curves = score_curves(entry)
    if not curves:
        return []
    most = max(map(len, curves.values()))
    rows = [
        (f"mSA, {WORDS[task]} (`{task}`)", *(f"{v:.3f}" for v in values),
         *["-"] * (most - len(values)))
        for task, values in curves.items()
    ]  # fmt: skip
    lines = ["How masks improve with corrections, each a point that belongs to the object and one "
             "that does not, where the last mask is wrong:", ""]  # fmt: skip
    if entry.get(CURVE):
        lines += [picture(str(entry[CURVE]), "mSA by the number of corrections"), ""]
    return [*lines, *table(("corrections", *map(str, range(most))), rows), ""]


def _orientations(entry: Entry) -> list[str]:
    found = entry.get("orientations", {}).get("msa")
    if not found:
        return []
    return [
        f"With all images turned and mirrored in the eight ways, automatic mSA lies between "
        f"{found['low']:.3f} and {found['high']:.3f}; in one image it differs by "
        f"{found.get('spread', 0.0):.3f} on average.",
        "",
    ]


def _strata(entry: Entry) -> list[str]:
    strata = entry.get("strata", {})
    if not strata:
        return []
    tasks = [task for task in TASKS if task in entry["scores"]]
    header = ("kind of image", "images", "groups", "objects",
              *(f"{WORDS[task]}, mSA (95 %)" for task in tasks))  # fmt: skip
    rows = [
        (cell(name) or "-", *(str(each[key]) for key in ("n_images", "n_groups", "n_objects")),
         *(_with_interval(each, task, "msa") if task in each["scores"] else "-" for task in tasks))
        for name, each in strata.items()
    ]  # fmt: skip
    return [*table(header, rows), ""]


def _speed(entry: Entry) -> list[str]:
    found = entry.get("speed", {})
    if not found:
        return []
    threads = found.get("threads")
    return [
        f"Automatic segmentation took {found['seconds_per_megapixel']:.2g} s a megapixel (median "
        f"over images{f', {threads:g} threads' if threads else ''}) where this was measured.",
        "",
    ]


def _thresholds(entry: Entry) -> list[str]:
    """Write the average precision at each IoU threshold, of tasks and controls."""
    names = [f"ap{percent}" for percent in IOU_PERCENT]
    found = entry.get("ap", {})
    rows = [(task, *(_number(each, name) for name in (*names, "ap"))) for task, each in
            found.items()]  # fmt: skip
    header = ("AP at IoU", *(f"0.{percent}" for percent in IOU_PERCENT), "mean")
    return [*table(header, rows), ""] if rows else []


def _all_scores(entry: Entry) -> list[str]:
    measured = {name for scores in entry["scores"].values() for name in scores}
    columns = [*METRICS, *(name for name in SHOWN_PRECISIONS if name in measured)]
    rows = [
        (task, *(_number(scores, name) for name in columns))
        for task, scores in entry["scores"].items()
    ]
    return [*table(("task", *columns), rows), ""]


def _plain(entry: Entry) -> list[str]:
    """Write an entry that has nothing but scores."""
    lines = [
        "",
        f"**{entry.get('subject', 'this model')}** on {entry.get('data', '')}, "
        f"{entry.get('split', '')} ({entry.get('n_objects', '?')} objects{_left_out(entry)}). "
        f"{entry.get('note', '')}".rstrip(),
        "",
        *_all_scores(entry)[:-1],
        *(line for note in about_controls(entry["scores"]) for line in ("", note)),
    ]
    if entry.get("command"):
        lines += ["", f"Command: `{entry['command']}`"]
    return lines


def _left_out(entry: Entry) -> str:
    """Say how many pairs a measurement left out, so that no score hides it."""
    count = entry.get("n_left_out", 0)
    return f"; {count} of the annotated images could not be read and are left out" if count else ""
