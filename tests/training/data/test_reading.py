"""Annotated images: pairs of files, splits, scales."""

import dataclasses

import numpy as np
import pytest
import tifffile
import tiny

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.labels.annotation import LabelMeaning
from samzoo.runtime.labels.contents import content_identity
from samzoo.runtime.labels.survey import Survey
from samzoo.training.data.reading import (
    Annotated,
    Sample,
    data_digest,
    prepare,
    read_annotated,
    scaled_size,
    split,
)
from samzoo.training.data.targets import distance_targets


def annotated(seed=0, shape=(80, 96)):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, f"cells {seed}")


def sample(shape=(80, 96), scale=1.0):
    return prepare(annotated(shape=shape), Preprocessing(scale=scale), tiny.IMAGE_SIZE)


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


def test_prepare_brings_an_image_to_the_declared_scale():
    prepared = sample(scale=2.0)
    assert prepared.image.shape == (160, 192, 3)
    assert prepared.labels.shape == (160, 192)
    assert prepared.labels.dtype == np.int32
    original = annotated().labels
    np.testing.assert_array_equal(prepared.labels[::2, ::2], original)
    np.testing.assert_array_equal(prepared.targets, distance_targets(prepared.labels))


def test_prepare_without_a_scale_fits_the_longest_side():
    prepared = prepare(annotated(), Preprocessing(), tiny.IMAGE_SIZE)
    assert prepared.labels.shape == (53, 64)  # 80 * 64 / 96 = 53.3
    assert prepared.image.shape == (53, 64, 3)
    assert prepared.targets.shape == (3, 53, 64)


def test_prepare_applies_the_intensity_rule():
    a = annotated()
    prepared = prepare(
        Annotated(a.image.astype(np.uint16) * 7, a.labels, ""),
        Preprocessing(intensity="min_max", scale=1.0),
        tiny.IMAGE_SIZE,
    )
    assert prepared.image.min() == 0
    assert prepared.image.max() == pytest.approx(255)


@pytest.mark.parametrize(
    ("shape", "scale", "expected"),
    [((10, 20), 2.0, (20, 40)), ((3, 500), 0.1, (1, 50)), ((30, 60), None, (32, 64))],
)
def test_scaled_size_rounds_and_is_never_zero(shape, scale, expected):
    assert scaled_size(shape, scale, 64) == expected


def test_read_annotated_reads_pairs(tmp_path):
    from PIL import Image

    image, labels = tiny.make_cells()
    for folder, array in (("images", image), ("labels", labels.astype(np.uint8))):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    (found,) = read_annotated(tmp_path / "images", tmp_path / "labels")
    np.testing.assert_array_equal(found.image, image)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.name == "a.png"
    with pytest.raises(NotFoundError):
        read_annotated(tmp_path / "nothing", tmp_path / "labels")


def test_the_digest_of_data_sees_pixels_labels_and_order():
    a, b = sample(), sample((64, 64))
    other = Sample(a.image, np.where(a.labels == 1, 0, a.labels), a.targets)
    digests = [data_digest(s) for s in ([a], [other], [a, b], [b, a])]
    assert len(set(digests)) == 4
    assert data_digest([sample()]) == digests[0]


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


def test_read_annotated_tells_what_it_read_and_whose_picture_it_is(tmp_path):
    whole = annotated()
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    tifffile.imwrite(tmp_path / "images/a.ome.tif", whole.image)
    tifffile.imwrite(tmp_path / "labels/a_masks.tif", (whole.labels > 0).astype(np.uint8) * 255)
    with pytest.raises(ImageError, match=r"a_masks\.tif: id 255 has \d+ separate parts"):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    survey = Survey()
    (found,) = read_annotated(
        tmp_path / "images", tmp_path / "labels", survey=survey,
        meaning=LabelMeaning(split_components=True),
    )  # fmt: skip
    assert survey.counts.objects == found.labels.max() > 3
    left, right = split([found])
    assert left[0].content == right[0].content == content_identity(whole.image)


def test_copies_of_a_picture_never_lie_on_both_sides_of_the_split():
    images = [annotated(seed) for seed in range(6)]
    copy = Annotated(images[0].image[::-1], images[0].labels[::-1], "copy")
    train, val = split([*images[:3], copy, *images[3:]])
    assert [a.name for a in val] == ["cells 0", "copy", "cells 5"]
    assert [a.name for a in train] == ["cells 1", "cells 2", "cells 3", "cells 4"]


def test_all_bad_pairs_are_named_at_once(tmp_path):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
        for name in "abc":
            pixels = (9 if folder == "images" else 1) * np.eye(8, dtype=np.uint8)
            tifffile.imwrite(tmp_path / folder / f"{name}.tif", pixels)
    (tmp_path / "images" / "a.tif").write_bytes(b"")
    tifffile.imwrite(tmp_path / "labels" / "c.tif", np.eye(7, dtype=np.uint8))
    with pytest.raises(
        ImageError, match=r"2 pairs cannot be used:(\n.*)+a\.tif: the file is empty"
    ):
        read_annotated(tmp_path / "images", tmp_path / "labels")
    (tmp_path / "images" / "a.tif").write_bytes((tmp_path / "images" / "b.tif").read_bytes())
    with pytest.raises(ImageError, match=r"^.*c\.tif: the labels are 7 x 7"):
        read_annotated(tmp_path / "images", tmp_path / "labels")


def test_read_annotated_takes_lists_tables_and_parts(tmp_path):
    for kind in ("images", "labels"):
        (tmp_path / kind).mkdir()
    for seed, name in enumerate("ab"):
        image, labels = tiny.make_cells((48, 64), seed)
        tifffile.imwrite(tmp_path / "images" / f"{name}.tif", image)
        tifffile.imwrite(tmp_path / "labels" / f"{name}.tif", labels.astype(np.uint8))
    (tmp_path / "split.csv").write_text("file,split,group\na.tif,train,f\nb.tif,test,g\n")
    folders = tmp_path / "images", tmp_path / "labels"
    (found,) = read_annotated(*folders, split=tmp_path / "split.csv", part="test")
    assert (found.name, found.group) == ("b.tif", "g")
    assert prepare(found, Preprocessing(scale=1.0), 64).group == "g"
    (tmp_path / "list.csv").write_text("image,label,group\nimages/b.tif,labels/b.tif,g\n")
    (same,) = read_annotated(tmp_path / "list.csv")
    assert (same.name, same.group) == ("images/b.tif", "g")
    np.testing.assert_array_equal(same.labels, found.labels)
