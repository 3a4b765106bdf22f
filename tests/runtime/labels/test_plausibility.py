"""Label images that are well formed and mean something else are refused; honest ones pass."""

import io

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.errors import ImageError
from samzoo.runtime.labels.plausibility import Parts, doubts, split_components


@pytest.fixture
def labels():
    """Twelve round objects with ids 10, 20, ..., 120, two of which touch."""
    y, x = np.mgrid[:120, :160]
    drawn = np.zeros((120, 160), np.int32)
    for i in range(12):
        cy, cx = 20 + 38 * (i // 4), 20 + 39 * (i % 4)
        drawn[(y - cy) ** 2 + (x - cx) ** 2 < (10 + i % 3) ** 2] = 10 * (i + 1)
    drawn[20:24, 30:50] = np.where(drawn[20:24, 30:50] == 0, 10, drawn[20:24, 30:50])
    return drawn


def jpeg(labels, quality):
    content = io.BytesIO()
    Image.fromarray(labels.astype(np.uint8)).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content)).astype(np.int32)


def resized(labels, factor, method):
    size = (round(labels.shape[1] * factor), round(labels.shape[0] * factor))
    floats = Image.fromarray(labels.astype(np.float32)).resize(size, method)
    return np.clip(np.rint(np.asarray(floats)), 0, None).astype(np.int32)


def test_honest_labels_pass_without_a_word(labels):
    assert doubts(labels, where="a") == []
    assert doubts(np.zeros((20, 20), np.int32), where="a") == []
    assert doubts(resized(labels, 0.5, Image.Resampling.NEAREST), where="a") == []
    partly = np.where(labels == 0, -1, labels)
    assert doubts(partly, where="a") == []


@pytest.mark.parametrize("value", [1, 255, 65535])
def test_a_mask_of_all_objects_is_refused_with_the_remedy(labels, value):
    with pytest.raises(ImageError, match=rf"a\.png: id {value} has 11 .* --split-components"):
        doubts((labels > 0) * np.int32(value), where="a.png")


def test_a_map_of_classes_is_refused(labels):
    classes = np.where(labels > 0, labels // 10 % 2 + 1, 0).astype(np.int32)
    with pytest.raises(ImageError, match=r"may be a map of classes"):
        doubts(classes, where="a")


def test_a_map_of_boundaries_is_refused(labels):
    boundary = np.zeros(labels.shape, bool)
    boundary[1:] |= labels[1:] != labels[:-1]
    boundary[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    with pytest.raises(ImageError, match=r"id 1 has 12 separate parts"):
        doubts(np.where(boundary, 2, labels > 0).astype(np.int32), where="a")


@pytest.mark.parametrize("parts", [2, 3])
def test_objects_of_two_or_three_parts_pass(labels, parts):
    cut = labels.copy()
    for band in range(1, parts):
        cut[(15 if parts == 3 else 18) + 5 * band :: 38] = 0
    for id_ in np.unique(labels[labels > 0]):
        assert len(Parts.of(np.where(cut == id_, cut, 0)).sizes) >= 2
    (note,) = doubts(cut, where="a")  # all of them: that is worth a note
    assert note.startswith("a: 12 of 12 ids have several separate parts")
    honest = np.where(cut[:, :] == 10, cut, np.where(labels == 10, 0, labels))
    assert doubts(honest, where="a") == []


def test_one_odd_object_of_many_is_noted_not_refused(labels):
    labels[labels == 120] = 0
    labels[100:116, 130:155:5] = 120
    assert doubts(labels, where="a") == [
        "a: 1 of 12 ids have more than 3 separate parts (120); each counts as one object. If they "
        "are several, pass --split-components to make each part an object"
    ]


def test_a_single_id_in_two_parts_is_noted(labels):
    two = np.isin(labels, (10, 120)) * np.int32(255)
    (note,) = doubts(two, where="a")
    assert note.startswith("a: the only id, 255, has 2 separate parts, which count as one object")
    assert doubts(np.minimum(two, labels == 10), where="a") == []


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_labels_that_once_were_a_jpeg_are_refused(labels, quality):
    with pytest.raises(ImageError, match=r"once saved as JPEG: .* without interpolation"):
        doubts(jpeg(labels, quality), where="a")
    with pytest.raises(ImageError, match=r"once saved as JPEG"):
        doubts(jpeg((labels > 0) * 255, quality), where="a")


@pytest.mark.parametrize("method", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
@pytest.mark.parametrize("factor", [0.5, 1.3, 2, 4])
def test_labels_resized_with_interpolation_are_refused(labels, factor, method):
    with pytest.raises(ImageError, match=r"look resized with interpolation"):
        doubts(resized(labels, factor, method), where="a")


def test_dots_instead_of_outlines_are_refused():
    dots = np.zeros((50, 50), np.int32)
    dots[5::10, 5::10] = np.arange(1, 26).reshape(5, 5)
    with pytest.raises(ImageError, match="25 of 25 separate parts have at most 4 pixels"):
        doubts(dots, where="a")


def test_an_image_given_as_labels_is_refused():
    rng = np.random.default_rng(0)
    picture = rng.integers(1, 256, (60, 60)).astype(np.int32)
    with pytest.raises(ImageError, match=r"looks like an image, .* swapped"):
        doubts(picture, where="a")


def test_labels_that_are_the_image_itself_are_refused(labels):
    for image in (labels.astype(np.uint8), np.stack([labels] * 3, -1)):
        with pytest.raises(ImageError, match="same pixels as its image"):
            doubts(labels, image, where="a")
    assert doubts(labels, (labels > 0) * np.uint8(200), where="a") == []
    empty = np.zeros((9, 9), np.int32)
    assert doubts(empty, empty, where="a") == []  # a black image without objects


@pytest.mark.parametrize(("value", "message"), [(-1, "no pixel is annotated"), (7, "the id 7")])
def test_labels_of_one_id_everywhere_are_refused(value, message):
    with pytest.raises(ImageError, match=message):
        doubts(np.full((9, 9), value, np.int32), where="a")


def test_splitting_makes_objects_of_parts_and_keeps_what_is_not_annotated(labels):
    mask = (labels > 0).astype(np.int32)
    mask[:, :3] = -1
    split = split_components(mask)
    assert split.max() == 11  # the two that touch are one
    np.testing.assert_array_equal(split > 0, mask > 0)
    np.testing.assert_array_equal(split < 0, mask < 0)
    assert doubts(split, where="a") == []


def test_touching_ids_are_different_objects_when_split():
    assert split_components(np.array([[1, 2, 0, 1]], np.int32)).max() == 3


def test_an_inverted_mask_is_refused_with_the_remedy(labels):
    with pytest.raises(ImageError, match=r"id 255 fills 7\d% .* 11 holes: .* Invert"):
        doubts((labels == 0) * np.int32(255), where="a.png")


def test_a_background_with_a_number_of_its_own_is_refused(labels):
    with pytest.raises(ImageError, match=r"id 1 fills .* no pixel is 0: it is the background"):
        doubts(labels + 1, where="a")


def test_a_background_beside_outlines_of_0_is_noted(labels):
    outlined = labels + 1
    outlined[20:60, 80] = 0
    assert "If it is the background" in doubts(outlined, where="a")[0]


def test_large_objects_that_touch_all_sides_are_no_background(labels):
    one = np.full((100, 100), 3, np.int32)
    one[40:60, 40:60] = 0  # a ring: one hole
    assert doubts(one, where="a") == []
    halves = np.full((100, 100), 1, np.int32)
    halves[:, 45:] = 2  # dense, as in electron microscopy
    assert doubts(halves, where="a") == []


def test_numbers_used_twice_by_8_bits_are_noted():
    """Three hundred objects saved with 8 bits: 44 numbers stand for two objects each."""
    rows, columns = np.mgrid[:200, :150]
    numbers = rows // 10 * 15 + columns // 10 + 1
    objects = np.where((rows % 10 < 7) & (columns % 10 < 7), numbers, 0)
    saved = objects.astype(np.uint8).astype(np.int32)
    assert doubts(objects, where="a") == []
    (note,) = doubts(saved, where="a")
    assert note.startswith("a: 44 of 255 ids have several separate parts")
    assert "with 8 bits" in note
