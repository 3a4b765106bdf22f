"""The scores of each image as a table for spreadsheets.

In: the reports of one or more models. Out: a CSV file with a row for each image and task.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import IOU_PERCENT
from samzoo.runtime.evaluation.set_scoring import Report
from samzoo.runtime.formats.outputs import replacing

COUNTED_AT = (50, 75)
"""The IoU thresholds in percent whose counts the table has; reports have all."""

COUNTS = ("tp", "fp", "fn")

COLUMNS = (
    "model", "image", "labels", "group", "stratum", "objects", "task", *METRICS,
    *(f"{name}{percent}" for percent in COUNTED_AT for name in COUNTS),
)  # fmt: skip


def write_image_rows(path: Path, reports: Mapping[str, Report]) -> None:
    """Write the table.

    Args:
        path: The CSV file, replaced in one step.
        reports: Those of ``samzoo.runtime.evaluate``, by the name of the model.

    Raises:
        WriteError: The disk is full or the folder cannot be written.
    """
    places = {percent: IOU_PERCENT.index(percent) for percent in COUNTED_AT}
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for model, report in reports.items():
            for row in report["images"]:
                for task, scores in row["scores"].items():
                    counts = [
                        row["matches"][task][name][place]
                        for place in places.values()
                        for name in COUNTS
                    ]
                    writer.writerow([
                        model, row["image"], row["labels"], row["group"], row["stratum"],
                        row["n_objects"], task, *(f"{scores[name]:.4f}" for name in METRICS),
                        *counts,
                    ])  # fmt: skip
