"""Distances of outlines: against all pairs of pixels, and by hand."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from skimage.draw import ellipse

from samzoo.runtime.evaluation.boundaries import boundary_errors


def outline(mask):
    """Pixels of the mask beside a pixel that is not; beyond the image there is none."""
    padded = np.pad(mask, 1, mode="edge")
    inner = padded[2:, 1:-1] & padded[:-2, 1:-1] & padded[1:-1, 2:] & padded[1:-1, :-2]
    return np.argwhere(mask & ~inner)


def test_errors_are_mean_distances_between_all_pixels_of_both_outlines():
    truth, labels = np.zeros((60, 80), np.int32), np.zeros((60, 80), np.int32)
    shapes = [((12, 14), (9, 7), (1, 2)), ((40, 60), (12, 15), (2, -1)), ((3, 60), (8, 9), (0, 1))]
    for number, ((row, column), (height, width), (down, right)) in enumerate(shapes, start=1):
        truth[ellipse(row, column, height, width, shape=truth.shape)] = number
        moved = ellipse(row + down, column + right, height - 1, width, shape=truth.shape)
        labels[moved] = 10 - number
    expected = []
    for number in (1, 2, 3):
        one, other = outline(truth == number), outline(labels == 10 - number)
        distances = cdist(one, other)
        expected.append(np.concatenate([distances.min(axis=0), distances.min(axis=1)]).mean())
    assert boundary_errors(labels, truth) == pytest.approx(expected, rel=1e-5)


def test_a_square_that_is_a_pixel_larger_on_each_side_is_about_a_pixel_off():
    truth, labels = np.zeros((30, 30), np.int32), np.zeros((30, 30), np.int32)
    truth[5:25, 5:25] = 1
    labels[4:26, 4:26] = 1
    (error,) = boundary_errors(labels, truth)
    assert 1.0 <= error < 1.02  # the corners alone are further
    assert boundary_errors(truth, truth) == [0.0]


def test_missed_objects_and_those_that_fill_the_image_are_left_out():
    truth, none = np.ones((10, 10), np.int32), np.zeros((10, 10), np.int32)
    assert boundary_errors(none, truth) == boundary_errors(truth, none) == []
    assert boundary_errors(truth, truth) == []


def test_what_is_not_annotated_is_no_part_of_an_outline():
    truth = np.zeros((20, 40), np.int32)
    truth[5:15, 5:15] = 3
    truth[:, 15:] = -1
    labels = np.zeros((20, 40), np.int32)
    labels[5:15, 5:25] = 1
    assert boundary_errors(labels, truth) == [0.0]
