"""Which of two overlapping boxes or masks stays."""

import numpy as np
import pytest

from samzoo.runtime.automatic.candidates import Candidate
from samzoo.runtime.automatic.suppression import suppress_boxes, suppress_masks


def candidate(mask, row=0, column=0):
    made = Candidate.of(
        np.asarray(mask, np.bool_), row, column,
        predicted_iou=0.5, stability_score=0.5, point=(0.0, 0.0),
    )  # fmt: skip
    assert made is not None
    return made


def test_the_better_of_two_equal_boxes_stays_and_of_equal_scores_the_first():
    boxes = np.array([[0, 0, 9, 9], [0, 0, 9, 9], [20, 20, 30, 30]], np.float32)
    assert suppress_boxes(boxes, np.array([0.1, 0.9, 0.5], np.float32), 0.7) == [1, 2]
    assert suppress_boxes(boxes, np.array([0.5, 0.5, 0.5], np.float32), 0.7) == [0, 2]
    assert suppress_boxes(boxes[:0], np.zeros(0, np.float32), 0.7) == []


def test_a_box_at_the_threshold_stays():
    boxes = np.array([[0, 0, 10, 1], [0, 0, 5, 1]], np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    assert suppress_boxes(boxes, scores, 0.5) == [0, 1]
    assert suppress_boxes(boxes, scores, 0.49) == [0]


def test_a_dropped_box_drops_no_other():
    boxes = np.array([[0, 0, 10, 10], [0, 4, 10, 14], [0, 8, 10, 18]], np.float32)
    assert suppress_boxes(boxes, np.array([3, 2, 1], np.float32), 0.4) == [0, 2]


@pytest.mark.torch
def test_boxes_kept_are_those_of_torchvision(rng):
    torch = pytest.importorskip("torch")
    torchvision = pytest.importorskip("torchvision")
    corners = rng.uniform(0, 40, (300, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 30, (300, 2))], 1)
    boxes = np.round(boxes).astype(np.float32)
    scores = (rng.integers(0, 50, 300) / 50).astype(np.float32)
    for threshold in (0.2, 0.5, 0.7):
        expected = torchvision.ops.nms(
            torch.from_numpy(boxes), torch.from_numpy(scores), threshold
        ).tolist()
        assert suppress_boxes(boxes, scores, threshold) == expected


def test_masks_are_compared_by_their_pixels_and_not_their_boxes():
    square = np.ones((6, 6), bool)
    lower = np.tril(square)
    masks = [candidate(square), candidate(lower), candidate(~lower), candidate(square, 40, 2)]
    scores = np.array([0.4, 0.9, 0.8, 0.1], np.float32)
    assert suppress_masks(masks, scores, 0.9) == [1, 2, 0, 3]
    assert suppress_masks(masks, scores, 0.5) == [1, 2, 3]
    assert suppress_masks(masks, scores, 0.5, intersection_over_min=True) == [1, 2, 3]
    assert suppress_masks(masks[:2], scores[:2], 0.9, intersection_over_min=True) == [1]
    assert suppress_masks([], np.zeros(0, np.float32), 0.5) == []
