"""The table of the scores of each image."""

import csv
from typing import Any

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.zoo.review.image_rows import COLUMNS, write_image_rows


def test_each_image_and_task_of_each_model_has_a_row(tmp_path):
    counts = {"tp": [*range(10)], "fp": [0] * 10, "fn": [*range(10, 0, -1)], "ious": [1.0]}
    image = {
        "image": "in/a, b.tif", "labels": "t.tif", "group": "f", "stratum": "", "n_objects": 10,
        "scores": {"ais": dict.fromkeys(METRICS, 0.5), "box": dict.fromkeys(METRICS, 1.0)},
        "matches": {"ais": counts, "box": counts},
    }  # fmt: skip
    report: Any = {"images": [image]}
    write_image_rows(tmp_path / "t.csv", {"one": report, "two": report})
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["model"], row["task"]) for row in rows] == [
        ("one", "ais"), ("one", "box"), ("two", "ais"), ("two", "box"),
    ]  # fmt: skip
    first = rows[0]
    assert (first["image"], first["objects"], first["msa"]) == ("in/a, b.tif", "10", "0.5000")
    assert [first[name] for name in ("tp50", "fn50", "tp75", "fn75")] == ["0", "10", "5", "5"]
