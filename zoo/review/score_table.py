"""The scores of a report as a table for people.

In: a report of ``samzoo.runtime.evaluate``. Out: lines of text.
"""

from __future__ import annotations

from collections.abc import Sequence

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import SHOWN_PRECISIONS
from samzoo.runtime.evaluation.report import Scores


def table_lines(mean: Scores, ap: Scores) -> list[str]:
    """Write a row for each task: the means over images, then the average precision.

    Args:
        mean: ``Report["mean"]``.
        ap: ``Report["ap"]``.

    Returns:
        The header, and a line for each task.
    """
    width = max(10, *map(len, mean))
    header = _line(f"{'task':{width}}", [f"{name:>6}" for name in (*METRICS, *SHOWN_PRECISIONS)])
    return [header] + [
        _line(
            f"{task:{width}}",
            [f"{scores[name]:6.3f}" for name in METRICS]
            + [f"{ap[task][name]:6.3f}" for name in SHOWN_PRECISIONS],
        )
        for task, scores in mean.items()
    ]


def _line(first: str, cells: Sequence[str]) -> str:
    return " ".join([first, *cells])
