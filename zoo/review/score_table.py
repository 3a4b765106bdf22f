"""The scores of a report as a table for people.

In: a report of ``samzoo.runtime.evaluate``. Out: lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.report import Intervals, Scores

WITH_INTERVAL = ("msa", "ap")
"""The scores whose intervals the table shows; reports have all."""


def table_lines(mean: Scores, ap: Scores, intervals: Intervals) -> list[str]:
    """Write a row for each task: means over images, average precision, and intervals.

    Args:
        mean: ``Report["mean"]``.
        ap: ``Report["ap"]``.
        intervals: ``Report["intervals"]``; without any there are no columns for them.

    Returns:
        The header, and a line for each task.
    """
    width = max(10, *map(len, mean))
    columns = [f"{name:>6}" for name in (*METRICS, *SHOWN_PRECISIONS)]
    columns += [f"{f'{name} 95 %':>11}" for name in WITH_INTERVAL if intervals]
    lines = [_line(f"{'task':{width}}", columns)]
    for task, scores in mean.items():
        cells = [f"{scores[name]:6.3f}" for name in METRICS]
        cells += [f"{ap[task][name]:6.3f}" for name in SHOWN_PRECISIONS]
        ends = [intervals[task][name] for name in WITH_INTERVAL if intervals]
        cells += [f"{low:.3f}-{high:.3f}" for low, high in ends]
        lines.append(_line(f"{task:{width}}", cells))
    return lines


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
