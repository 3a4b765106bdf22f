"""The table of metrics is the only place that names them."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.evaluation.comparison import METRICS, Comparison, scores_of
from samzoo.runtime.evaluation.metrics import foreground_dice, mean_segmentation_accuracy


def halves():
    truth = np.zeros((8, 8), np.int32)
    truth[:4], truth[4:] = 1, 2
    found = truth.copy()
    found[:1] = 0
    return found, truth


def test_scores_are_those_of_the_functions():
    found, truth = halves()
    scores = scores_of(Comparison(found, truth))
    assert scores == {
        **mean_segmentation_accuracy(found, truth),
        "dice": foreground_dice(found, truth),
    }
    assert list(scores) == list(METRICS)
    assert scores["msa"] < 1


def test_with_masks_of_objects_dice_is_their_mean():
    found, truth = halves()
    assert scores_of(Comparison(found, truth, [0.5, 1.0]))["dice"] == 0.75


def test_a_comparison_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Comparison(*halves()).truth = None  # type: ignore[misc,assignment]


def test_shapes_must_agree():
    with pytest.raises(ShapeError, match="same shape"):
        scores_of(Comparison(np.zeros((2, 2), np.int32), np.zeros((2, 3), np.int32)))
