"""The printed table of scores."""

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.zoo.review.score_table import about_intervals, correction_lines, table_lines


def test_each_task_has_a_row_with_means_and_average_precision():
    mean = {"ais": dict.fromkeys(METRICS, 0.5), "box_fill": dict.fromkeys(METRICS, 1.0)}
    ap = {task: {"ap50": 0.25, "ap55": 0.2, "ap75": 0.125, "ap": 0.1} for task in mean}
    header, first, second = (
        line.split() for line in table_lines(mean, ap, {}, {"ais": 1.234, "box_fill": None})
    )
    assert header == ["task", *METRICS, "ap50", "ap75", "ap", "edge", "px"]
    assert first == ["ais", *["0.500"] * len(METRICS), "0.250", "0.125", "0.100", "1.23"]
    assert (second[0], second[-1]) == ("box_fill", "-")


def test_intervals_are_shown_where_there_are_any():
    mean = {"ais": dict.fromkeys(METRICS, 0.5)}
    ap = {"ais": {"ap50": 0.25, "ap75": 0.125, "ap": 0.1}}
    header, line = table_lines(
        mean, ap, {"ais": {"msa": [0.4, 0.6], "ap": [0.05, 0.15]}}, {"ais": 2}
    )
    assert header.endswith("msa 95 %     ap 95 %")
    assert line.endswith("0.100    2.00 0.400-0.600 0.050-0.150")
    assert len(header) == len(line)


def test_what_was_drawn_is_said():
    assert about_intervals(3, 9) == "95 % intervals: bootstrap over 3 groups of 9 images"
    assert about_intervals(9, 9).endswith("over 9 images, taken as independent")


def test_a_row_for_each_corrected_task_has_its_course():
    rounds = {"ip": [{"msa": 0.5}, {"msa": 0.625}], "ib": [{"msa": 1.0}] * 2}
    assert correction_lines(rounds) == [
        "",
        "corrections      0      1",
        "ip msa       0.500  0.625",
        "ib msa       1.000  1.000",
    ]
    assert correction_lines({}) == []
