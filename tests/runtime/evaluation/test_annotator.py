"""The simulated annotator's own parts; whole sessions are tested with the evaluation."""

from typing import Any, cast

import numpy as np
import pytest

from samzoo.runtime.evaluation.annotator import Tally, annotate, filled_boxes
from samzoo.runtime.evaluation.comparison import scores_of


def test_filled_boxes_leave_out_their_last_row_and_column():
    masks = filled_boxes(np.array([[1, 0, 3, 2], [0, 0, 4, 3]], np.float32), (3, 4))
    np.testing.assert_array_equal(masks[0], [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]])
    assert masks[1].all()


def test_a_tally_scores_the_painted_masks_and_the_mean_dice():
    truth = np.array([[1, 1, 0, 2, 2]], np.int32)
    tally = Tally(np.zeros((1, 5), np.bool_))
    tally.add(np.array([[[1, 1, 0, 0, 0]]], bool), truth[None] == 1)
    tally.add(np.array([[[0, 0, 0, 0, 1]]], bool), truth[None] == 2)
    scores = scores_of(tally.comparison(truth))
    assert scores["sa50"] == 1.0
    assert scores["sa75"] == pytest.approx(1 / 3)
    assert scores["dice"] == pytest.approx((1 + 2 / 3) / 2)


def test_a_padding_correction_reaches_the_model_with_label_minus_one():
    given = []

    class Model:
        def prompt(self, embedding, *, points=None, point_labels=None, boxes=None):
            given.append(point_labels)
            return np.ones((1, 4, 5), bool), np.ones(1, np.float32), None

    truth = np.ones((4, 5), np.int32)
    rng = np.random.default_rng(0)
    tallies = annotate(cast(Any, Model()), None, truth, first="point", rounds=1, rng=rng)
    np.testing.assert_array_equal(given[-1], [[1, 1, -1]])
    assert scores_of(tallies.last.comparison(truth))["msa"] == 1.0


def test_the_masks_after_each_round_are_kept_if_asked_for():
    """The model finds a column more with each round; two objects in one batch."""

    class Model:
        def prompt(self, embedding, *, points=None, point_labels=None, boxes=None):
            masks = np.zeros((2, 2, 8), bool)
            masks[0, :, : points.shape[1] // 2 + 1] = True
            masks[1, :, 4:] = True
            return masks, np.ones(2, np.float32), None

    truth = np.repeat(np.array([[1, 1, 1, 1, 2, 2, 2, 2]], np.int32), 2, axis=0)
    found = {}
    for asked in (True, False):
        rng = np.random.default_rng(0)
        found[asked] = annotate(
            cast(Any, Model()), None, truth, first="point", rounds=3, rng=rng, each_round=asked
        )
    assert found[False].rounds == ()
    kept = found[True].rounds
    assert (kept[0], kept[-1]) == (found[True].first, found[True].last)
    dices = [scores_of(each.comparison(truth))["dice"] for each in kept]
    expected = [(2 * n / (n + 4) + 1) / 2 for n in (1, 2, 3, 4)]
    assert dices == pytest.approx(expected)
    last = [scores_of(found[asked].last.comparison(truth)) for asked in (True, False)]
    assert last[0] == last[1]
