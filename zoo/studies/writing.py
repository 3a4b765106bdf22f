"""The files of a study that people open: two tables as CSV, one as Markdown, and a picture.

In: the runs of a study. Out: files in its folder, each replaced in one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samzoo.runtime.formats.outputs import replacing, write_bytes

from .picture import draw_study
from .plan import PlannedRun
from .results import read_result, table_rows
from .tables import runs_csv, table_csv, table_markdown

TABLE, PAGE, EACH, PICTURE = "table.csv", "table.md", "runs.csv", "scores.png"


def write_tables(title: str, runs: Sequence[PlannedRun], work: Path) -> Path:
    """Write the tables and the picture of what is finished.

    Args:
        title: Heading of the page.
        runs: All runs of the study.
        work: The study's folder.

    Returns:
        The page.

    Raises:
        FormatError: A run's file is damaged.
        StorageError: A file cannot be written.
    """
    results = [found for found in map(read_result, runs) if found is not None]
    rows = table_rows(runs, results)
    write_bytes(work / EACH, runs_csv(results).encode())
    write_bytes(work / TABLE, table_csv(rows).encode())
    with replacing(work / PICTURE) as temporary:
        draw_study(rows).save(temporary)
    write_bytes(work / PAGE, table_markdown(title, rows, PICTURE).encode())
    return work / PAGE
