"""The printed table of scores."""

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.zoo.review.score_table import table_lines


def test_each_task_has_a_row_with_means_and_average_precision():
    mean = {"ais": dict.fromkeys(METRICS, 0.5), "box_fill": dict.fromkeys(METRICS, 1.0)}
    ap = {task: {"ap50": 0.25, "ap55": 0.2, "ap75": 0.125, "ap": 0.1} for task in mean}
    header, first, second = (line.split() for line in table_lines(mean, ap))
    assert header == ["task", *METRICS, "ap50", "ap75", "ap"]
    assert first == ["ais", *["0.500"] * len(METRICS), "0.250", "0.125", "0.100"]
    assert second[:2] == ["box_fill", "1.000"]
