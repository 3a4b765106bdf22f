"""The scores of a report as a table for people.

In: a report of ``samzoo.runtime.evaluate``. Out: lines of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.report import Intervals, Rounds, Scores
from samzoo.runtime.evaluation.set_scoring import Report
from samzoo.runtime.evaluation.subsets import ClassScores, StratumScores
from samzoo.runtime.evaluation.tasks import CONTROLS

WITH_INTERVAL = ("msa", "ap")
"""The scores whose intervals the table shows; reports have all."""


def report_lines(report: Report) -> list[str]:
    """Write all tables of a report.

    Args:
        report: The report.
    """
    return [
        *table_lines(report["mean"], report["ap"], report["intervals"], report["boundary_error"]),
        *stratum_lines(report["strata"]),
        *class_lines(report["classes"]),
        *orientation_lines(report["orientations"]),
        *correction_lines(report["corrections"]),
    ]


def difference_lines(differences: Sequence[Mapping[str, Any]]) -> list[str]:
    """Write a line for each further model and task: how its scores differ from the first model's.

    Args:
        differences: Names of both models (``model``, ``than``), and ``score_differences`` as
            ``intervals``.
    """
    return [
        f"{each['model']} minus {each['than']}, {task}, 95 %: "
        + ", ".join(f"{name} {low:+.3f} to {high:+.3f}" for name, (low, high) in (
            (name, intervals[name]) for name in WITH_INTERVAL
        ))
        for each in differences
        for task, intervals in each["intervals"].items()
        if task not in CONTROLS
    ]  # fmt: skip


def table_lines(
    mean: Scores, ap: Scores, intervals: Intervals, boundary: Mapping[str, float | None]
) -> list[str]:
    """Write a row for each task: means over images, average precision, outlines, and intervals.

    Args:
        mean: ``Report["mean"]``.
        ap: ``Report["ap"]``.
        intervals: ``Report["intervals"]``; without any there are no columns for them.
        boundary: ``Report["boundary_error"]``, in pixels.

    Returns:
        The header, and a line for each task.
    """
    width = max(10, *map(len, mean))
    columns = [f"{name:>6}" for name in (*METRICS, *SHOWN_PRECISIONS)]
    columns += [f"{'edge px':>7}"]
    columns += [f"{f'{name} 95 %':>11}" for name in WITH_INTERVAL if intervals]
    lines = [_line(f"{'task':{width}}", columns)]
    for task, scores in mean.items():
        cells = [f"{scores[name]:6.3f}" for name in METRICS]
        cells += [f"{ap[task][name]:6.3f}" for name in SHOWN_PRECISIONS]
        error = boundary[task]
        cells += [f"{'-' if error is None else f'{error:.2f}':>7}"]
        ends = [intervals[task][name] for name in WITH_INTERVAL if intervals]
        cells += [f"{low:.3f}-{high:.3f}" for low, high in ends]
        lines.append(_line(f"{task:{width}}", cells))
    return lines


def stratum_lines(strata: Mapping[str, StratumScores]) -> list[str]:
    """Write a row for each kind of image: how many, and scores of each task.

    Args:
        strata: ``Report["strata"]``.

    Returns:
        An empty line, the header and the rows; nothing without strata.
    """
    if not strata:
        return []
    tasks = [task for task in next(iter(strata.values()))["mean"] if task not in CONTROLS]
    header = [*(f"{task} {name}" for task in tasks for name in ("msa", "ap50"))]
    rows = {
        name or "-": [
            *(str(scores[count]) for count in ("n_images", "n_groups", "n_objects")),
            *(
                f"{value:.3f}"
                for task in tasks
                for value in (scores["mean"][task]["msa"], scores["ap"][task]["ap50"])
            ),
        ]
        for name, scores in strata.items()
    }
    return _titled("stratum", ["images", "groups", "objects", *header], rows)


def class_lines(classes: Mapping[str, ClassScores]) -> list[str]:
    """Write a row for each class of objects: how many, and which share each task finds.

    Args:
        classes: ``Report["classes"]``.

    Returns:
        As ``stratum_lines``.
    """
    if not classes:
        return []
    tasks = [task for task in next(iter(classes.values()))["found"] if task not in CONTROLS]
    header = [f"{task} {name}" for task in tasks for name in ("found50", "iou")]
    rows = {
        name or "-": [
            str(scores["n_objects"]),
            *(f"{scores['found'][task][key]:.3f}" for task in tasks for key in ("found50", "iou")),
        ]
        for name, scores in classes.items()
    }
    return _titled("class", ["objects", *header], rows)


def orientation_lines(orientations: Scores) -> list[str]:
    """Write a row for each score of ``ais``: its mean and range over eight orientations.

    Args:
        orientations: ``Report["orientations"]``.

    Returns:
        As ``stratum_lines``.
    """
    if not orientations:
        return []
    rows = {
        name: [
            *(f"{values[key]:.3f}" for key in ("mean", "low", "high")),
            f"{values['spread']:.3f}" if "spread" in values else "-",
        ]
        for name, values in orientations.items()
    }
    return _titled("ais, turned", ["mean", "low", "high", "in an image"], rows)


def correction_lines(corrections: Rounds) -> list[str]:
    """Write a row for each corrected task: its mSA after each number of corrections.

    Args:
        corrections: ``Report["corrections"]``.

    Returns:
        As ``stratum_lines``.
    """
    if not corrections:
        return []
    most = max(map(len, corrections.values()))
    rows = {
        f"{task} msa": [f"{scores['msa']:.3f}" for scores in rounds]
        for task, rounds in corrections.items()
    }
    return _titled("corrections", [str(number) for number in range(most)], rows)


def _titled(title: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    first = max(10, len(title), *map(len, rows))
    widths = [max(6, len(name)) for name in columns]
    return ["", _line(f"{title:{first}}", _aligned(columns, widths))] + [
        _line(f"{name:{first}}", _aligned(cells, widths)) for name, cells in rows.items()
    ]


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)]


def about_intervals(n_groups: int, n_images: int) -> str:
    """Say what intervals were drawn from.

    Args:
        n_groups: ``Report["n_groups"]``, at least 2.
        n_images: ``Report["n_images"]``.
    """
    if n_groups == n_images:
        return f"95 % intervals: bootstrap over {n_images} images, taken as independent"
    return f"95 % intervals: bootstrap over {n_groups} groups of {n_images} images"


def _line(first: str, cells: Sequence[str]) -> str:
    return " ".join([first, *cells])
