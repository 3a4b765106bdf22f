"""Prompts: every accepted form, and one clear message for each that is not."""

import numpy as np
import pytest

from samzoo.runtime.errors import InputError, ShapeError
from samzoo.runtime.prompts.tokens import collect_prompts


def collect(**given):
    arguments = {"points": None, "point_labels": None, "boxes": None, "mask_input": None}
    return collect_prompts(**{**arguments, **given}, image_size=(20, 30), mask_side=16)


def test_points_of_one_object_need_no_object_axis():
    (prompt,) = collect(points=[[3, 4], [5, 6]], point_labels=[1, 0])
    np.testing.assert_array_equal(prompt.coords, [[3, 4], [5, 6]])
    np.testing.assert_array_equal(prompt.labels, [1, 0])
    assert not prompt.has_box
    assert prompt.anchor == (3.0, 4.0)


def test_padding_points_are_dropped_and_a_box_follows_the_points():
    first, second = collect(
        points=[[[1, 1], [2, 2]], [[9, 9], [3, 3]]], point_labels=[[0, 1], [-1, 0]],
        boxes=[[0, 0, 4, 8], [10, 2, 20, 4]],
    )  # fmt: skip
    np.testing.assert_array_equal(first.labels, [0, 1, 2, 3])
    np.testing.assert_array_equal(second.coords, [[3, 3], [10, 2], [20, 4]])
    assert first.anchor == (2.0, 4.0)
    assert second.anchor == (15.0, 3.0)


def test_the_anchor_is_the_first_point_on_the_object_else_the_first_point():
    assert collect(points=[[1, 2], [3, 4]], point_labels=[0, 1])[0].anchor == (3.0, 4.0)
    assert collect(points=[[1, 2], [3, 4]], point_labels=[0, 0])[0].anchor == (1.0, 2.0)


def test_points_on_the_images_border_and_boxes_that_stick_out_are_accepted():
    assert collect(points=[[30, 20], [0, 0]], point_labels=[1, 1])
    assert collect(boxes=[-5, -5, 50, 40])[0].has_box


def test_no_object_gives_no_prompt():
    assert collect(boxes=np.zeros((0, 4))) == []
    assert collect(points=np.zeros((0, 3, 2)), point_labels=np.zeros((0, 3))) == []


def test_a_mask_input_goes_with_its_object():
    masks = np.arange(2 * 256).reshape(2, 1, 16, 16)
    _, second = collect(boxes=[[0, 0, 1, 1]] * 2, mask_input=masks)
    np.testing.assert_array_equal(second.mask_input, masks[1])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "no prompt: pass points with point_labels, boxes, or both"),
        ({"mask_input": np.zeros((1, 1, 16, 16))}, "no prompt"),
        ({"points": [[1, 1]]}, "points and point_labels belong together"),
        ({"point_labels": [1]}, "points and point_labels belong together"),
        ({"points": [[1, 1]], "point_labels": [2]}, "point_labels holds 2; allowed are 1"),
        ({"points": [[1, 1]], "point_labels": [-1]}, "object 0 has no prompt"),
        ({"points": [[31, 1]], "point_labels": [1]}, r"point \(31, 1\) lies outside the image of "
         r"width 30 and height 20; points are \(x, y\)"),
        ({"points": [[1, 21]], "point_labels": [0]}, "lies outside"),
        ({"points": [[-0.1, 1]], "point_labels": [1]}, "lies outside"),
        ({"points": [[np.nan, 1]], "point_labels": [1]}, "points holds NaN or infinite values"),
        ({"points": [[1e300, 1]], "point_labels": [1]}, "points holds NaN or infinite values"),
        ({"points": [["a", "b"]], "point_labels": [1]}, "points must be numbers"),
        ({"boxes": [5, 5, 5, 9]}, r"box 0 is \[5, 5, 5, 9\]; expected x0 < x1"),
        ({"boxes": [[0, 0, 1, 1], [40, 0, 50, 9]]}, "box 1 is .* lies outside the image"),
    ],
)  # fmt: skip
def test_unusable_values_are_refused(given, message):
    with pytest.raises(InputError, match=message):
        collect(**given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": [1, 2], "point_labels": [1]}, r"points must have shape \(n, k, 2\), got \(2,"),
        ({"points": [[1, 2, 3]], "point_labels": [1]}, "points must have shape"),
        ({"points": [[1, 2], [3]], "point_labels": [1]}, "points: rows differ in length"),
        ({"points": [[1, 2]], "point_labels": [1, 1]}, r"point_labels must have shape \(1, 1\)"),
        ({"boxes": [1, 2, 3]}, r"boxes must have shape \(n, 4\)"),
        ({"boxes": [0, 0, 9, 9], "mask_input": np.zeros((1, 1, 8, 8))},
         r"mask_input must have shape \(n, 1, 16, 16\), got \(1, 1, 8, 8\)"),
        ({"boxes": [0, 0, 9, 9], "mask_input": np.zeros((2, 16, 16))}, "mask_input must have"),
        ({"boxes": [0, 0, 9, 9], "mask_input": np.zeros((2, 1, 16, 16))},
         "the numbers of objects differ: {'boxes': 1, 'mask_input': 2}"),
    ],
)  # fmt: skip
def test_unusable_shapes_are_refused(given, message):
    with pytest.raises(ShapeError, match=message):
        collect(**given)
