"""The files that show the course of a run."""

import csv
import json

import pytest
from PIL import Image

from samzoo.runtime.errors import StorageError
from samzoo.training.fit.curves import (
    COLUMNS,
    CURVES,
    METRICS,
    draw_curves,
    metrics_table,
    read_log,
    write_course,
)


def line(epoch, loss=1.0, **scores):
    return {
        "epoch": epoch, "step": 20 * epoch, "loss": loss, "seconds": 2.5 * epoch,
        "learning_rate": 1e-4, "validated": "all", **scores,
    }  # fmt: skip


LINES = [line(1, 1.5, ais=0.1, box=0.3, score=0.2), line(2, 0.9, ais=0.3, box=0.5, score=0.4)]


def write(path, texts):
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def test_a_line_that_was_cut_off_does_not_count_and_a_repeated_epoch_counts_once(tmp_path):
    texts = [json.dumps(each) for each in (*LINES, line(2, 0.8, score=0.5))]
    log = write(tmp_path / "log.jsonl", [texts[0], texts[1], '{"epoch": 2, "st', texts[2]])
    assert [(each["epoch"], each["loss"]) for each in read_log(log)] == [(1, 1.5), (2, 0.8)]
    with pytest.raises(StorageError, match="cannot be read"):
        read_log(tmp_path / "none.jsonl")


def test_the_table_has_a_row_for_each_epoch(tmp_path):
    write_course(write(tmp_path / "log.jsonl", map(json.dumps, LINES)))
    with (tmp_path / METRICS).open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == (*COLUMNS, "ais", "box")
    assert [row["score"] for row in rows] == ["0.2", "0.4"]
    with Image.open(tmp_path / CURVES) as picture:
        assert picture.size == (900, 840)
    assert not list(tmp_path.glob(".*"))


def test_a_score_that_some_epochs_lack_is_left_empty():
    assert metrics_table([line(1, score=0.5), *LINES[1:]]).splitlines()[1].endswith("0.5,,")


def test_the_curves_have_more_ink_with_more_epochs():
    def ink(lines):
        return sum(draw_curves(lines).convert("L").histogram()[:120])

    assert 0 < ink(LINES[:1]) < ink(LINES)
    draw_curves([line(1, 0.0, score=0.0)])  # nothing to divide by


def test_scores_of_a_part_are_the_curve_and_those_of_all_a_row_and_a_number(tmp_path):
    parts = [{**each, "validated": "part"} for each in LINES]
    whole = {"epoch": 2, "validated": "all", "score": 0.3, "ais": 0.2, "box": 0.4}
    log = write(tmp_path / "log.jsonl", map(json.dumps, [*parts, whole, whole]))
    lines = read_log(log)
    assert lines == [*parts, whole]  # written twice, as by a run that was made longer
    rows = list(csv.DictReader(metrics_table(lines).splitlines()))
    assert [(row["epoch"], row["validated"], row["score"], row["loss"]) for row in rows] == [
        ("1", "part", "0.2", "1.5"), ("2", "part", "0.4", "0.9"), ("2", "all", "0.3", ""),
    ]  # fmt: skip
    assert draw_curves(lines).tobytes() != draw_curves(parts).tobytes()
