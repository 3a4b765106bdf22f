"""Scores of runs, and their mean and range over seeds."""

import pytest

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.files import write_json
from samzoo.zoo.studies.results import Spread, read_result, table_rows


def results(runs):
    return [found for found in map(read_result, runs) if found is not None]


def test_rows_have_mean_and_range_over_the_seeds_that_are_done(runs, finish):
    finish(runs[0], box=0.25)
    finish(runs[1], seconds=1.0, peak=100, ais=0.5, box=0.75)
    finish(runs[2], seconds=2.0, peak=300, ais=0.25, box=0.5)
    finish(runs[3], ais=0.5, box=0.5)
    rows = table_rows(runs, results(runs))
    assert [(row.images, row.name, row.done, row.planned) for row in rows] == [
        ("1", "untrained", 1, 1), ("1", "lora", 2, 2), ("1", "all-weights", 1, 2),
        ("all", "untrained", 1, 1), ("all", "lora", 0, 2), ("all", "all-weights", 0, 2),
    ]  # fmt: skip
    lora = rows[1]
    assert lora.scores == {"ais": Spread(0.375, 0.25, 0.5), "box": Spread(0.625, 0.5, 0.75)}
    assert lora.seconds == Spread(1.5, 1.0, 2.0)
    assert lora.peak_bytes == Spread(200, 100, 300)
    assert rows[0].scores == rows[3].scores == {"box": Spread(0.25, 0.25, 0.25)}
    assert rows[0].seconds is rows[0].peak_bytes is rows[4].seconds is None
    assert rows[4].scores == {}


def test_a_run_without_a_report_has_no_result_and_a_foreign_report_is_refused(runs):
    assert read_result(runs[1]) is None
    write_json(runs[1].folder / "report.json", {"models": []})
    with pytest.raises(FormatError, match="mean: expected scores by task"):
        read_result(runs[1])


def test_memory_that_the_system_does_not_say_is_left_out(runs, finish):
    finish(runs[1], peak=0, ais=0.5)
    found = read_result(runs[1])
    assert found is not None
    assert found.peak_bytes is None
