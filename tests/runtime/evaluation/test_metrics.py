"""Metrics against brute force and by hand."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.evaluation.metrics import (
    binary_dice,
    foreground_dice,
    mean_iou,
    mean_segmentation_accuracy,
)


def brute_force(labels, truth):
    predicted = [labels == label for label in np.unique(labels[labels > 0])]
    true = [truth == label for label in np.unique(truth[truth > 0])]
    accuracies = []
    for percent in range(50, 100, 5):
        enough = np.array(
            [
                [Fraction(int((p & t).sum()), int((p | t).sum())) >= Fraction(percent, 100)
                 for t in true]
                for p in predicted
            ],
            dtype=float,
        ).reshape(len(predicted), len(true))  # fmt: skip
        matched = enough[linear_sum_assignment(enough, maximize=True)].sum()
        total = len(predicted) + len(true) - matched
        accuracies.append(matched / total if total else 1.0)
    return {"msa": np.mean(accuracies), "sa50": accuracies[0], "sa75": accuracies[5]}


def random_labels(rng, shape, n_objects, side=4):
    labels = np.zeros(shape, np.int32)
    for label in rng.choice(np.arange(1, 1000), n_objects, replace=False):
        row, column = rng.integers(0, shape[0]), rng.integers(0, shape[1])
        height, width = rng.integers(1, side, 2)
        labels[row : row + height, column : column + width] = label
    return labels


@pytest.mark.parametrize("seed", range(40))
def test_msa_equals_an_optimal_assignment_on_random_rectangles(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 25, 2))
    truth = random_labels(rng, shape, int(rng.integers(0, 20)))
    labels = random_labels(rng, shape, int(rng.integers(0, 20)))
    moved = np.roll(truth, 1, axis=int(rng.integers(0, 2)))
    for found in (labels, moved, truth):
        measured = mean_segmentation_accuracy(found, truth)
        assert measured == pytest.approx(brute_force(found, truth))


@pytest.mark.parametrize("seed", range(20))
def test_msa_equals_an_optimal_assignment_where_iou_is_often_one_half(seed):
    """Tiles of 1 or 2 pixels: halves of each other in both directions."""
    rng = np.random.default_rng(seed)
    truth = np.cumsum(rng.random((1, 30)) > 0.4, axis=1).astype(np.int32)
    labels = np.cumsum(rng.random((1, 30)) > 0.4, axis=1).astype(np.int32)
    measured = mean_segmentation_accuracy(labels, truth)
    assert measured == pytest.approx(brute_force(labels, truth))


def test_one_object_in_two_halves_is_one_match_at_fifty_percent():
    whole, halves = np.array([[1, 1, 1, 1]]), np.array([[1, 1, 2, 2]])
    assert mean_segmentation_accuracy(whole, halves)["sa50"] == pytest.approx(1 / 2)
    assert mean_segmentation_accuracy(halves, whole)["sa50"] == pytest.approx(1 / 2)


@pytest.mark.parametrize("percent", range(50, 100, 5))
def test_an_iou_that_equals_a_threshold_counts(percent):
    truth = np.ones((1, 100), np.int32)
    labels = np.zeros((1, 100), np.int32)
    labels[0, :percent] = 1
    reached = (percent - 50) // 5 + 1
    assert mean_segmentation_accuracy(labels, truth)["msa"] == pytest.approx(reached / 10)
    labels[0, percent - 1] = 0
    assert mean_segmentation_accuracy(labels, truth)["msa"] == pytest.approx((reached - 1) / 10)


def test_empty_images_are_right_only_together():
    empty, full = np.zeros((3, 3), np.int32), np.ones((3, 3), np.int32)
    assert mean_segmentation_accuracy(empty, empty) == {"msa": 1.0, "sa50": 1.0, "sa75": 1.0}
    for pair in ((empty, full), (full, empty)):
        assert mean_segmentation_accuracy(*pair) == {"msa": 0.0, "sa50": 0.0, "sa75": 0.0}


def test_label_numbers_do_not_matter_however_large():
    truth = np.array([[1, 1, 0, 2]], np.int32)
    labels = np.array([[2**31 - 1, 2**31 - 1, 0, 7]], np.int32)
    assert mean_segmentation_accuracy(labels, truth)["msa"] == 1.0


def test_a_false_positive_and_a_miss_both_cost():
    truth = np.array([[1, 1, 0, 0, 2, 2]], np.int32)
    labels = np.array([[1, 1, 3, 0, 0, 0]], np.int32)
    assert mean_segmentation_accuracy(labels, truth)["sa50"] == pytest.approx(1 / 3)


def test_dice_by_hand():
    mask, truth = np.array([[1, 1, 0]], bool), np.array([[0, 1, 1]], bool)
    assert binary_dice(mask, truth) == pytest.approx(0.5)
    assert binary_dice(mask, ~mask) == 0.0
    assert binary_dice(mask, mask) == 1.0
    assert binary_dice(mask & False, truth & False) == 1.0
    assert foreground_dice(np.array([[5, 9, 0]]), np.array([[0, 1, 1]])) == pytest.approx(0.5)


def test_mean_iou_by_hand():
    masks = np.array([[[1, 1, 0]], [[0, 0, 0]]], bool)
    truths = np.array([[[0, 1, 1]], [[0, 0, 0]]], bool)
    assert mean_iou(masks, truths) == pytest.approx((1 / 3 + 1) / 2)


def test_wrong_shapes_and_no_masks_are_refused():
    with pytest.raises(ShapeError, match="same shape"):
        mean_segmentation_accuracy(np.zeros((2, 3), int), np.zeros((3, 2), int))
    with pytest.raises(ShapeError, match="same shape"):
        binary_dice(np.zeros((2, 3), bool), np.zeros((3, 2), bool))
    with pytest.raises(ShapeError, match=r"\(n, height, width\)"):
        mean_iou(np.zeros((2, 3), bool), np.zeros((2, 3), bool))
    with pytest.raises(InputError, match="at least one mask"):
        mean_iou(np.zeros((0, 2, 3), bool), np.zeros((0, 2, 3), bool))


def test_predictions_mostly_where_nobody_annotated_do_not_count():
    truth = np.zeros((10, 20), np.int32)
    truth[:4, :4] = 1
    truth[:, 10:] = -1
    labels = np.where(truth == 1, 1, 0)
    labels[5:8, 8:13] = 2  # 6 pixels of background, 9 that nobody annotated
    labels[:, 17:] = 3  # nothing but these
    assert mean_segmentation_accuracy(labels, truth)["msa"] == 1.0
    assert mean_segmentation_accuracy(labels, np.maximum(truth, 0))["msa"] == pytest.approx(1 / 3)
    labels[5:8, 6:10] = 2  # now 12 of 21
    assert mean_segmentation_accuracy(labels, truth)["msa"] == pytest.approx(1 / 2)


def test_a_prediction_mostly_where_nobody_annotated_may_still_match():
    truth = np.zeros((6, 30), np.int32)
    truth[:, 6:10] = 5
    truth[:, 10:] = -1
    labels = np.zeros((6, 30), np.int32)
    labels[:, 6:20] = 7  # the object, and more that nobody annotated
    assert mean_segmentation_accuracy(labels, truth)["msa"] == 1.0
    assert foreground_dice(labels, truth) == 1.0
