"""Prompts from labels against scikit-image and SciPy."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.evaluation.prompt_simulation import (
    BOX_MARGIN,
    correction_points,
    dilate,
    object_boxes,
    object_centers,
    random_points,
)


@pytest.fixture
def rng():
    return np.random.default_rng(4)


def test_boxes_are_those_of_regionprops(labels):
    properties = regionprops(labels)
    boxes = object_boxes(labels, [prop.label for prop in properties])
    expected = np.array([prop.bbox for prop in properties])[:, [1, 0, 3, 2]]
    assert boxes.dtype == np.float32
    np.testing.assert_array_equal(boxes, expected)


def test_boxes_and_centers_follow_the_order_of_the_ids(labels):
    boxes, centers = object_boxes(labels, [9, 3]), object_centers(labels, [9, 3])
    np.testing.assert_array_equal(boxes[::-1], object_boxes(labels, [3, 9]))
    np.testing.assert_array_equal(centers[::-1], object_centers(labels, np.array([3, 9])))


def test_centers_are_maxima_of_the_distance_inside_each_object(labels):
    ids = np.unique(labels)[1:].tolist()
    for label, (x, y) in zip(ids, object_centers(labels, ids), strict=True):
        distances = ndimage.distance_transform_edt(np.pad(labels == label, 1))[1:-1, 1:-1]
        expected = np.unravel_index(np.argmax(distances), labels.shape)
        assert labels[int(y), int(x)] == label
        assert distances[int(y), int(x)] == pytest.approx(distances.max())
        assert (y, x) == expected


def test_of_equal_maxima_the_first_in_raster_order_is_the_center():
    labels = np.zeros((6, 8), np.int32)
    labels[1:5, 2:6] = 1
    np.testing.assert_array_equal(object_centers(labels, [1]), [[3, 2]])


def test_the_image_border_and_other_objects_are_outside():
    labels = np.ones((5, 9), np.int32)
    labels[:, 5:] = 2
    np.testing.assert_array_equal(object_centers(labels, [1, 2]), [[2, 2], [6, 1]])


def test_one_pixel_objects_and_no_ids_work():
    labels = np.array([[7]], np.int32)
    np.testing.assert_array_equal(object_boxes(labels, [7]), [[0, 0, 1, 1]])
    np.testing.assert_array_equal(object_centers(labels, [7]), [[0, 0]])
    assert object_boxes(labels, []).shape == (0, 4)
    assert object_centers(labels, []).shape == (0, 2)


def test_an_id_that_is_not_there_is_named(labels):
    with pytest.raises(InputError, match="object 4 is not in the label image"):
        object_boxes(labels, [3, 4])
    with pytest.raises(InputError, match="object 1 is not"):
        object_centers(labels * 0, [1])


def test_random_points_lie_in_the_mask_without_repetition(labels, rng):
    mask = labels == 3
    points = random_points(mask, 5, rng).astype(int)
    assert mask[points[:, 1], points[:, 0]].all()
    assert len(np.unique(points, axis=0)) == 5
    np.testing.assert_array_equal(random_points(np.eye(1, dtype=bool), 3, rng), np.zeros((3, 2)))
    with pytest.raises(InputError, match="no pixel"):
        random_points(mask & False, 1, rng)


def test_random_points_reach_every_pixel(rng):
    mask = np.array([[1, 0, 1], [0, 1, 0]], bool)
    drawn = {tuple(random_points(mask, 1, rng)[0]) for _ in range(100)}
    assert drawn == {(0, 0), (2, 0), (1, 1)}


def square(shape, rows, columns):
    mask = np.zeros(shape, bool)
    mask[slice(*rows), slice(*columns)] = True
    return mask


def draw_many(truth, predicted, rng, **options):
    """Return the sets of positive and negative pixels (row, column) that can be drawn."""
    positive, negative = set(), set()
    for _ in range(400):
        points, labels = correction_points(truth, predicted, rng, **options)
        assert points.dtype == np.float32
        assert points.shape == (2, 2)
        np.testing.assert_array_equal(labels, [1, 0])
        positive.add((points[0, 1], points[0, 0]))
        negative.add((points[1, 1], points[1, 0]))
    return positive, negative


def pixels(mask):
    return set(map(tuple, np.argwhere(mask)))


def test_corrections_come_from_false_negatives_and_false_positives(rng):
    truth, predicted = square((12, 12), (2, 6), (2, 6)), square((12, 12), (4, 8), (4, 8))
    positive, negative = draw_many(truth, predicted, rng, dilation=5)
    assert positive == pixels(truth & ~predicted)
    assert negative == pixels(predicted & ~truth)


def test_an_empty_prediction_is_corrected_anywhere_in_the_truth(rng):
    truth = square((12, 12), (2, 5), (2, 5))
    positive, negative = draw_many(truth, truth & False, rng)
    assert positive == pixels(truth)
    assert negative == pixels(square((12, 12), (0, 8), (0, 8)) & ~truth)


def test_a_perfect_prediction_gets_a_negative_near_the_box_outside_the_dilated_truth(rng):
    truth = square((20, 20), (5, 9), (5, 9))
    positive, negative = draw_many(truth, truth, rng, dilation=2)
    grown = (5 - BOX_MARGIN, 9 + BOX_MARGIN)
    allowed = square((20, 20), grown, grown) & ~square((20, 20), (3, 11), (3, 11))
    assert positive == pixels(truth)
    assert negative == pixels(allowed)


def test_a_dilation_that_leaves_nothing_is_given_up_for_the_box(rng):
    truth = square((20, 20), (5, 9), (5, 9))
    _, negative = draw_many(truth, truth, rng, dilation=10)
    assert negative == pixels(square((20, 20), (2, 12), (2, 12)) & ~truth)


def test_a_truth_that_fills_the_image_gets_a_padding_point(rng):
    truth = np.ones((3, 4), bool)
    points, labels = correction_points(truth, truth, rng, dilation=5)
    np.testing.assert_array_equal(labels, [1, -1])
    np.testing.assert_array_equal(points[0], points[1])


def test_corrections_repeat_with_the_seed(labels):
    truth, predicted = labels == 3, np.roll(labels == 3, 2, axis=0)
    one, two = (correction_points(truth, predicted, np.random.default_rng(9)) for _ in range(2))
    np.testing.assert_array_equal(one[0], two[0])


def test_corrections_need_a_truth_and_equal_shapes(rng):
    with pytest.raises(InputError, match="no pixel"):
        correction_points(np.zeros((2, 2), bool), np.ones((2, 2), bool), rng)
    with pytest.raises(ShapeError, match="same shape"):
        correction_points(np.ones((2, 2), bool), np.ones((2, 3), bool), rng)


@pytest.mark.parametrize("distance", [0, 1, 3, 50])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (20, 30)])
def test_dilation_equals_scipy_with_a_square(rng, distance, shape):
    mask = rng.random(shape) > 0.97
    expected = mask
    if distance:
        structure = np.ones((2 * distance + 1, 2 * distance + 1), bool)
        expected = ndimage.binary_dilation(mask, structure)
    np.testing.assert_array_equal(dilate(mask, distance), expected)


def test_no_point_is_drawn_where_nobody_annotated(rng):
    truth = square((20, 20), (5, 10), (5, 10))
    ignored = np.zeros((20, 20), bool)
    ignored[:, 12:] = True
    for predicted in (square((20, 20), (5, 10), (5, 20)), truth, np.zeros_like(truth)):
        for _ in range(50):
            points, labels = correction_points(truth, predicted, rng, ignored=ignored)
            x, y = points.astype(int).T
            assert not ignored[y, x].any()
            np.testing.assert_array_equal(labels, [1, 0])
    points, labels = correction_points(truth, truth, rng, ignored=~truth)
    np.testing.assert_array_equal(labels, [1, -1])
