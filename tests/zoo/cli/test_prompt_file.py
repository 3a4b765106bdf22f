"""Prompts from options and from JSON."""

import json
from typing import Any

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import FormatError, InputError, NotFoundError
from samzoo.zoo.cli import prompt_file
from samzoo.zoo.cli.prompt_file import from_options, read_prompts, to_arrays


@pytest.mark.parametrize(
    ("points", "labels", "boxes", "expected"),
    [
        ([[1, 2]], [], [], [{"points": [[1, 2]], "labels": [1]}]),
        ([[1, 2], [3, 4]], [1, 0], [], [{"points": [[1, 2], [3, 4]], "labels": [1, 0]}]),
        ([], [], [[0, 0, 1, 1], [2, 2, 3, 3]], [{"box": [0, 0, 1, 1]}, {"box": [2, 2, 3, 3]}]),
        ([[1, 2]], [0], [[0, 0, 9, 9]], [{"points": [[1, 2]], "labels": [0], "box": [0, 0, 9, 9]}]),
    ],
)
def test_options_become_objects(points, labels, boxes, expected):
    assert from_options(points, labels, boxes) == expected


@pytest.mark.parametrize(
    ("points", "labels", "boxes", "message"),
    [
        ([], [], [], "no prompt: give --point X Y, --box"),
        ([[1, 2], [3, 4]], [1], [], "2 --point and 1 --label"),
        ([], [1], [[0, 0, 1, 1]], "0 --point and 1 --label"),
        ([[1, 2]], [], [[0, 0, 1, 1]] * 2, "points with several boxes"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(points, labels, boxes, message):
    with pytest.raises(InputError, match=message):
        from_options(points, labels, boxes)


def write(tmp_path, value):
    path = tmp_path / "prompts.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


OBJECTS: list[dict[str, Any]] = [
    {"points": [[1, 2]], "labels": [1]},
    {"box": [0, 0, 5.5, 5]},
    {"points": [[1, 2], [3, 4]], "labels": [1, 0]},
    {"points": [[7, 7]], "labels": [0], "box": [1, 1, 9, 9]},
]


def test_a_file_is_read_as_it_is(tmp_path):
    assert read_prompts(write(tmp_path, OBJECTS)) == OBJECTS


def test_objects_with_and_without_box_become_two_calls_with_padding():
    (boxed, with_box), (others, without) = to_arrays(OBJECTS)
    assert (boxed, others) == ([1, 3], [0, 2])
    np.testing.assert_array_equal(with_box["boxes"], [[0, 0, 5.5, 5], [1, 1, 9, 9]])
    np.testing.assert_array_equal(with_box["points"], [[[0, 0]], [[7, 7]]])
    np.testing.assert_array_equal(with_box["point_labels"], [[-1], [0]])
    assert set(without) == {"points", "point_labels"}
    np.testing.assert_array_equal(without["points"], [[[1, 2], [0, 0]], [[1, 2], [3, 4]]])
    np.testing.assert_array_equal(without["point_labels"], [[1, -1], [1, 0]])


def test_boxes_alone_need_no_points():
    ((members, arguments),) = to_arrays([{"box": [0, 0, 1, 1]}] * 2)
    assert members == [0, 1]
    assert set(arguments) == {"boxes"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "not a JSON file"),
        ("[" * 100_000, "not a JSON file"),
        ('[{"box": [0, 0, 1, 1], "box": [2, 2, 3, 3]}]', "the key 'box' stands in one object"),
        ({"points": []}, "expected a list of objects"),
        ([], "expected a list of objects"),
        ([5], "object 0: expected an object with points, labels, box, mask, found 5"),
        ([{}], "object 0: expected an object"),
        (
            [{"box": [0, 0, 1, 1]}, {"bbox": [0, 0, 1, 1]}],
            "object 1: unknown key 'bbox', allowed: points, labels, box, mask; did you mean 'box'?",
        ),
        ([{"points": [[1, 2]]}], r"object 0.labels: expected one for each of 1 points, found \[\]"),
        ([{"points": [[1, 2]], "labels": 1}], "object 0.labels: expected one"),
        ([{"points": [[1, 2]], "labels": ["a"]}], "object 0.labels: .* allowed are 1"),
        ([{"points": [[1, 2]], "labels": [2]}], "object 0.labels: .* allowed are 1"),
        ([{"points": [[1, 2]], "labels": [-1]}], "object 0.labels: .* allowed are 1"),
        ([{"points": [[1, 2]], "labels": [True]}], "object 0.labels: .* allowed are 1"),
        ([{"points": [[1, 2, 3]], "labels": [1]}], "object 0.points: expected 2 numbers"),
        ([{"points": [["1", 2]], "labels": [1]}], "object 0.points: expected 2 numbers"),
        ([{"points": 5, "labels": []}], "object 0.points: expected a list, found 5"),
        ([{"box": [1, 2, 3]}], "object 0.box: expected 4 numbers"),
        ([{"box": None}], "object 0.box: expected 4 numbers, found None"),
        ('[{"box": [0, 0, NaN, 1]}]', "NaN is not a number in JSON"),
        ([{"box": [0, 0, 10**400, 1]}], r"\[0\].box\[2\]: expected a finite number, found 1000"),
        ([{"points": [], "labels": []}], "object 0: no prompt; give points with labels, a box"),
        ([{"mask": 5}], "object 0.mask: expected the name of a file, found 5"),
        ([{"mask": ""}], "object 0.mask: expected the name of a file, found ''"),
        ([{"mask": "m.png", "box": [0, 0, 1, 1]}], "object 0: a mask prompts with its own box; om"),
    ],
)
def test_a_wrong_file_is_refused_by_object_and_field(tmp_path, value, message):
    path = write(tmp_path, value)
    with pytest.raises(FormatError, match=message) as caught:
        read_prompts(path)
    assert str(path) in str(caught.value)


def test_a_missing_or_huge_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(NotFoundError, match="no such file"):
        read_prompts(tmp_path / "none.json")
    monkeypatch.setattr(prompt_file, "MAX_JSON_BYTES", 3)
    with pytest.raises(FormatError, match="too large for a prompt file"):
        read_prompts(write(tmp_path, OBJECTS))


def test_a_mask_is_read_beside_the_file_and_prompts_with_its_box(tmp_path):
    labels = np.zeros((20, 30), np.uint8)
    labels[4:9, 10:16] = 255
    tifffile.imwrite(tmp_path / "m.tif", labels)
    boxed, masked = read_prompts(write(tmp_path, [{"box": [0, 0, 1, 1]}, {"mask": "m.tif"}]))
    assert boxed == {"box": [0, 0, 1, 1]}
    assert masked["box"] == [10, 4, 16, 9]
    found, label = masked["mask"]
    np.testing.assert_array_equal(found == label, labels > 0)
    labels[15:18, 2:6] = 7
    tifffile.imwrite(tmp_path / "m.tif", labels)
    with pytest.raises(FormatError, match=r"object 0.mask: 'm.tif' holds 2 objects, .* as --mask"):
        read_prompts(write(tmp_path, [{"mask": "m.tif"}]))


def test_objects_with_a_mask_are_a_call_of_their_own():
    logits = np.ones((1, 4, 4), np.float32)
    objects: list[dict[str, Any]] = [
        {"box": [0, 0, 1, 1]},
        {"box": [2, 2, 3, 3], "mask_input": logits},
    ]
    (masked, with_mask), (boxed, without) = to_arrays(objects)
    assert (masked, boxed) == ([1], [0])
    np.testing.assert_array_equal(with_mask["mask_input"], [logits])
    assert set(without) == {"boxes"}
