"""Validation data, set aside: by groups, by pictures, or as quarters of images."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.errors import ImageError
from samzoo.training.data.annotated import Annotated
from samzoo.training.data.division import split


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


@pytest.mark.parametrize(("count", "chosen"), [(4, [0]), (5, [0]), (6, [0, 5]), (11, [0, 5, 10])])
def test_from_four_images_on_every_fifth_validates(count, chosen):
    images = [annotated(seed) for seed in range(count)]
    train, val = split(images)
    assert [a.name for a in val] == [f"cells {i}" for i in chosen]
    assert [a.name for a in train] == [f"cells {i}" for i in range(count) if i not in chosen]


@pytest.mark.parametrize("count", [1, 3])
def test_of_fewer_images_the_right_quarters_validate(count):
    images = [annotated(seed, shape=(80, 97)) for seed in range(count)]
    train, val = split(images)
    assert len(train) == len(val) == count
    for whole, left, right in zip(images, train, val, strict=True):
        assert left.labels.shape == (80, 72)
        np.testing.assert_array_equal(np.hstack([left.image, right.image]), whole.image)
        np.testing.assert_array_equal(np.hstack([left.labels, right.labels]), whole.labels)
        assert left.name.startswith(whole.name)


def test_a_part_without_objects_is_an_error_that_says_what_to_do():
    image, labels = tiny.make_cells()
    labels[:, 72:] = 0
    part = Annotated(image, labels, "name")
    with pytest.raises(ImageError, match=r"name: no labelled .*right quarter.*--val-images"):
        split([part])
    train, val = split([part, annotated(1)])  # the other image validates
    assert [a.name for a in train] == ["name", "cells 1 (left 3/4)"]
    assert [a.name for a in val] == ["cells 1 (right 1/4)"]


def grouped(*groups, empty=()):
    images = [annotated(seed, shape=(48, 64)) for seed in range(len(groups))]
    for i in empty:
        images[i].labels[:] = 0
    return [dataclasses.replace(a, group=g) for a, g in zip(images, groups, strict=True)]


@pytest.mark.parametrize(
    ("images", "validation"),
    [
        (grouped(*"aabbbccdde"), "aa"),
        (grouped(*"abcdefabc"), "aaf"),
        (grouped("a", "a", "", "", "b"), "aa"),
        (grouped(*"aaabb"), "bb"),
        (grouped(*"abc", empty=[0]), "b"),
        (grouped(*"abcdeexyzuvv", empty=range(6, 12)), "avv"),
    ],
    ids=["whole groups", "every fifth group", "some without", "two", "with objects", "empty ones"],
)
def test_images_of_a_group_stay_together_when_some_are_set_aside(images, validation):
    train, val = split(images)
    assert "".join(a.group for a in val) == validation
    assert not {a.group for a in train} & {a.group for a in val} - {""}
    assert sorted(a.name for a in train + val) == sorted(a.name for a in images)


def test_groups_that_share_a_picture_stay_together():
    images = grouped(*"aabbccddee")
    copy = dataclasses.replace(images[0], name="copy", group="e")
    train, val = split([*images, copy])
    assert {a.group for a in val} == {"a", "e"}
    assert {a.group for a in train} == {"b", "c", "d"}


def test_one_group_alone_is_divided_like_one_image():
    train, val = split(grouped("a", "a"))
    assert [a.name for a in val] == ["cells 0 (right 1/4)", "cells 1 (right 1/4)"]
    assert {a.group for a in train + val} == {"a"}


@pytest.mark.parametrize(("full", "empty"), [(4, 1), (5, 5), (1, 2)])
def test_images_without_objects_do_not_stop_the_split(full, empty):
    nothing = [
        Annotated(np.zeros((80, 96)), np.zeros((80, 96), np.int32), f"empty {i}")
        for i in range(empty)
    ]
    train, val = split([*nothing, *(annotated(seed) for seed in range(full))])
    assert any((a.labels > 0).any() for a in val)
    names = {a.name for a in train} | {a.name for a in val}
    assert {f"empty {i}" for i in range(empty)} <= names
    assert sum(a.name.startswith("empty") for a in val) == (1 if (full, empty) == (5, 5) else 0)


def test_copies_of_a_picture_never_lie_on_both_sides_of_the_split():
    images = [annotated(seed) for seed in range(6)]
    copy = Annotated(images[0].image[::-1], images[0].labels[::-1], "copy")
    train, val = split([*images[:3], copy, *images[3:]])
    assert [a.name for a in val] == ["cells 0", "copy", "cells 5"]
    assert [a.name for a in train] == ["cells 1", "cells 2", "cells 3", "cells 4"]
