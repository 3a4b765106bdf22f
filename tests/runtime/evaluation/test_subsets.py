"""Scores of strata and classes, from rows."""

import pytest

from samzoo.runtime.evaluation.comparison import METRICS
from samzoo.runtime.evaluation.matching import Matches
from samzoo.runtime.evaluation.report import ImageScores, matches_in_json
from samzoo.runtime.evaluation.subsets import by_class, by_stratum


def row(ious, *, stratum="", classes=(), score=0.5):
    found = sum(iou >= 0.5 for iou in ious)
    matches = Matches((found,) * 10, (0,) * 10, (len(ious) - found,) * 10, tuple(ious))
    return ImageScores(
        image="a", labels="b", content="", group="", stratum=stratum, classes=list(classes),
        n_objects=len(ious), n_removed=0, scores={"ais": dict.fromkeys(METRICS, score)},
        matches={"ais": matches_in_json(matches)}, boundary_errors={},
        orientations=[], corrections={},
    )  # fmt: skip


def test_each_stratum_has_its_own_scores_and_rows_without_one_too():
    found = by_stratum([row([1, 0], stratum="b", score=0.2), row([1], score=0.9),
                        row([1, 1], stratum="b", score=0.4)])  # fmt: skip
    assert list(found) == ["", "b"]
    assert found["b"]["mean"]["ais"]["msa"] == pytest.approx(0.3)
    assert found["b"]["ap"]["ais"]["ap50"] == 0.75
    assert (found["b"]["n_images"], found["b"]["n_objects"]) == (2, 4)
    assert by_stratum([row([1])]) == {}


def test_shares_of_a_class_are_over_all_its_objects():
    rows = [
        row([0.8, 0.6, 0.2], classes=["nerve", "vessel", "nerve"]),
        row([0.5], classes=["nerve"]),
    ]
    found = by_class(rows)
    assert list(found) == ["nerve", "vessel"]
    assert found["nerve"]["found"]["ais"] == pytest.approx(
        {"found50": 2 / 3, "found75": 1 / 3, "iou": 0.5}
    )
    assert (found["nerve"]["n_images"], found["nerve"]["n_objects"]) == (2, 3)
    assert by_class([row([1])]) == {}
