"""Distance targets against torch-em's golden results."""

from pathlib import Path

import numpy as np
import pytest

from samzoo.training.data.targets import distance_targets

GOLDENS = Path(__file__).parents[2] / "goldens" / "distance_targets.npz"


@pytest.mark.parametrize("index", [0, 1])
def test_targets_equal_those_of_torch_em(index):
    with np.load(GOLDENS) as file:
        labels, expected = file[f"labels{index}"], file[f"targets{index}"]
    targets = distance_targets(labels.astype(np.int32), min_size=25)
    assert targets.dtype == np.float32
    np.testing.assert_array_equal(targets, expected[1:])


def test_without_objects_all_is_background():
    targets = distance_targets(np.zeros((5, 7), np.int32))
    np.testing.assert_array_equal(targets, np.broadcast_to([[[0]], [[1]], [[1]]], (3, 5, 7)))


def test_small_pieces_are_background_and_pieces_of_a_label_are_objects_of_their_own():
    labels = np.zeros((20, 30), np.int32)
    labels[2:9, 2:9] = 3
    labels[2:9, 20:27] = 3
    labels[15:18, 2:5] = 4  # 9 pixels
    targets = distance_targets(labels, min_size=10)
    assert targets[0].sum() == 98
    assert targets[1][5, 5] == targets[1][5, 23] == 0
    np.testing.assert_array_equal(targets[:, 2:9, 2:9], targets[:, 2:9, 20:27])
    assert distance_targets(labels, min_size=9)[0].sum() == 107


def test_one_pixel_is_its_own_centre_and_core():
    labels = np.zeros((4, 4), np.int32)
    labels[1, 2] = 1
    np.testing.assert_array_equal(distance_targets(labels, min_size=1)[:, 1, 2], [1, 0, 0])


def test_an_object_that_fills_the_image_has_a_centre_and_no_boundary():
    targets = distance_targets(np.ones((5, 9), np.int32))
    assert targets[1][2, 4] == 0
    np.testing.assert_array_equal(targets[0], 1)
    np.testing.assert_array_equal(targets[2], 0)


def test_the_centre_of_a_ring_lies_on_the_ring():
    rows, columns = np.mgrid[:21, :21]
    radius = np.hypot(rows - 10, columns - 10)
    labels = ((radius <= 9) & (radius >= 5)).astype(np.int32)
    y, x = np.argwhere((distance_targets(labels)[1] == 0) & (labels > 0))[0]
    assert labels[y, x]


def test_touching_objects_have_a_boundary_between_them():
    labels = np.zeros((12, 22), np.int32)
    labels[1:11, 1:11], labels[1:11, 11:21] = 1, 2
    boundary = distance_targets(labels)[2]
    largest = 1 - 1e-6  # the division by the largest distance plus 1e-7
    assert boundary[5, 10] >= largest
    assert boundary[5, 11] >= largest
    assert boundary[5, 5] == 0


def test_the_labels_are_not_changed():
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:4] = 7
    before = labels.copy()
    distance_targets(labels)
    np.testing.assert_array_equal(labels, before)
