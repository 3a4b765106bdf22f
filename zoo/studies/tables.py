"""The tables of a study, in the layout of the PEFT-SAM paper: methods by tasks.

In: rows and results. Out: CSV for programs, Markdown for people.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from itertools import groupby

from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.zoo.cards.markdown_tables import table

from .plan import ALL
from .results import Row, RunResult, Spread

MEGABYTE = 10**6

METRICS = {"msa": "mSA", "sa50": "SA50", "sa75": "SA75", "dice": "Dice"}
"""How people write metrics."""

NAMES = {"ais": "AIS"}
"""How people write tasks, where they write them in another way."""

RUN_COLUMNS = (
    "base", "data", "images", "method", "seed", "metric", *TASKS, "seconds_a_step", "peak_mb",
)  # fmt: skip
"""Columns of the table with a row for each run."""

ROW_COLUMNS = (
    "base", "data", "images", "method", "seeds", "metric",
    *(f"{task}_{part}" for task in TASKS for part in ("mean", "low", "high")),
    "seconds_a_step", "peak_mb",
)  # fmt: skip
"""Columns of the table over seeds."""


def runs_csv(results: Sequence[RunResult]) -> str:
    """Return a row for each finished run."""
    rows = []
    for found in results:
        run = found.run
        trained = run.method is not None
        rows.append({
            "base": run.base, "data": run.data.name, "method": run.row, "metric": run.data.metric,
            "images": f"{run.number or ALL}" if trained else "",
            "seed": run.seed if trained else "",
            **{task: f"{score:.4f}" for task, score in found.scores.items()},
            "seconds_a_step": _decimals(found.seconds),
            "peak_mb": _megabytes(found.peak_bytes),
        })  # fmt: skip
    return _csv(RUN_COLUMNS, rows)


def table_csv(rows: Sequence[Row]) -> str:
    """Return a row for each method in a block, with mean and range over seeds."""
    found = []
    for row in rows:
        scores = {
            f"{task}_{part}": f"{getattr(spread, part):.4f}"
            for task, spread in row.scores.items()
            for part in ("mean", "low", "high")
        }
        found.append({
            "base": row.base, "data": row.data, "images": row.images, "method": row.name,
            "seeds": row.done, "metric": row.metric, **scores,
            "seconds_a_step": _decimals(row.seconds.mean if row.seconds else None),
            "peak_mb": _megabytes(row.peak_bytes.mean if row.peak_bytes else None),
        })  # fmt: skip
    return _csv(ROW_COLUMNS, found)


def table_markdown(title: str, rows: Sequence[Row], picture: str) -> str:
    """Return a page with a table for each base, data and number of images.

    Args:
        title: Heading of the page.
        rows: From ``table_rows``.
        picture: Path of the picture, relative to the page.

    Returns:
        Markdown. The best mean of each column is bold.
    """
    lines = [
        f"# {title}",
        "",
        "Mean over seeds, and the range in brackets; the best mean is bold. Time is that of a "
        "training step, memory the most that the training process held outside of a GPU.",
        "",
        f"![scores]({picture})",
    ]
    for _, group in groupby(rows, key=lambda row: row.block):
        lines += ["", *_block(list(group))]
    return "\n".join(lines) + "\n"


def block_title(row: Row) -> str:
    """Name what the rows of a block have in common."""
    images = "1 training image" if row.images == "1" else f"{row.images} training images"
    return f"{row.data}, {row.base}, {images}"


def _block(rows: Sequence[Row]) -> list[str]:
    tasks = [task for task in TASKS if any(task in row.scores for row in rows)]
    best = {
        task: max(row.scores[task].mean for row in rows if task in row.scores) for task in tasks
    }
    header = ["method", "seeds", *(NAMES.get(task, task) for task in tasks), "s a step", "MB"]
    cells = []
    for row in rows:
        seeds = f"{row.done}" if row.done == row.planned else f"{row.done} of {row.planned}"
        scores = [_score(row.scores.get(task), best[task]) for task in tasks]
        cost = [
            _decimals(row.seconds.mean if row.seconds else None),
            _megabytes(row.peak_bytes.mean if row.peak_bytes else None),
        ]
        cells.append([row.name, seeds, *scores, *cost])
    return [f"## {block_title(rows[0])}: {METRICS[rows[0].metric]}", "", *table(header, cells)]


def _score(spread: Spread | None, best: float) -> str:
    if spread is None:
        return ""
    mean = f"{spread.mean:.3f}"
    bold = f"**{mean}**" if spread.mean == best else mean
    return bold if spread.low == spread.high else f"{bold} ({spread.low:.3f}-{spread.high:.3f})"


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _megabytes(value: float | None) -> str:
    return "" if value is None else f"{value / MEGABYTE:.0f}"


def _csv(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
