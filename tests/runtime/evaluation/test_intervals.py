"""Bootstrap intervals: against a draw by hand, and what they depend on."""

import numpy as np
import pytest

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.intervals import (
    RESAMPLES,
    SEED,
    group_numbers,
    interval_of,
    score_differences,
    score_intervals,
)
from samzoo.runtime.evaluation.matching import Matches, average_precision
from samzoo.runtime.evaluation.report import ImageScores, matches_in_json


def row(found, missed, *, group="", score=0.5, false=0):
    matches = Matches((found,) * 10, (false,) * 10, (missed,) * 10, (1.0,) * (found + missed))
    return ImageScores(
        image="a", labels="b", content="", group=group, stratum="", classes=[],
        n_objects=found + missed, n_removed=0, scores={"ais": dict.fromkeys(METRICS, score)},
        matches={"ais": matches_in_json(matches)}, boundary_errors={},
        orientations=[], corrections={},
    )  # fmt: skip


def test_intervals_equal_draws_by_hand():
    rows = [row(3, 1, group="a", score=0.9), row(5, 0, group="b", score=0.8),
            row(0, 4, group="a", score=0.1), row(2, 9, score=0.3), row(0, 0, false=3)]  # fmt: skip
    groups = [[rows[0], rows[2]], [rows[1]], [rows[3]], [rows[4]]]
    draws = np.random.default_rng(SEED).multinomial(4, [1 / 4] * 4, size=RESAMPLES)
    scores, precision = [], []
    for draw in draws:
        drawn = [each for n, group in zip(draw, groups, strict=True) for each in group * n]
        kept = [each["scores"]["ais"]["msa"] for each in drawn if each["n_objects"]]
        scores += [np.mean(kept)] if kept else []
        matches = [Matches(**each["matches"]["ais"]) for each in drawn]
        precision.append(average_precision(matches)["ap50"])
    found = score_intervals(rows)["ais"]
    assert found["msa"] == pytest.approx(interval_of(np.array(scores)))
    assert found["ap50"] == found["ap"] == pytest.approx(interval_of(np.array(precision)))


def test_equal_groups_leave_no_doubt_and_alike_images_add_no_certainty():
    one = [row(1, 1, group=name) for name in "abc"]
    assert score_intervals(one)["ais"]["msa"] == [0.5, 0.5]
    low = [row(1, 1, group="a", score=0.2), row(1, 1, group="b", score=0.8)]
    for name, interval in score_intervals(low)["ais"].items():
        assert score_intervals(low * 9)["ais"][name] == pytest.approx(interval)
    images = [{**each, "group": ""} for each in low * 9]
    narrow, wide = (score_intervals(rows)["ais"]["msa"] for rows in (images, low))  # type: ignore[arg-type]
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_a_row_without_group_is_a_group_and_a_single_group_has_no_interval():
    rows = [row(1, 0), row(1, 0), row(1, 0, group="a"), row(1, 0, group="a")]
    numbers, n_groups = group_numbers(rows)
    assert (numbers.tolist(), n_groups) == ([0, 1, 2, 2], 3)
    assert score_intervals(rows[2:]) == {}


def test_models_that_differ_alike_on_all_images_differ_without_doubt():
    scores = [0.2, 0.5, 0.9, 0.4]
    rows = [row(1, 1, score=score) for score in scores]
    better = [row(1, 1, score=score + 0.05) for score in scores]
    low, high = score_intervals(rows)["ais"]["msa"]
    assert high - low > 0.3
    found = score_differences(rows, better)["ais"]
    assert found["msa"] == pytest.approx([0.05, 0.05])
    assert found["ap"] == [0.0, 0.0]
    assert score_differences(rows[:1], better[:1]) == {}
