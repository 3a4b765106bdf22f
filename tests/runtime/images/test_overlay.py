"""Overlays: sizes, colours, contours, and files."""

import numpy as np
import pytest
from PIL import Image
from skimage.segmentation import watershed

from samzoo.runtime.errors import ImageError
from samzoo.runtime.images.overlay import (
    MAX_ENLARGEMENT,
    NEIGHBOUR_DISTANCES,
    PALETTE,
    draw_overlay,
    write_overlay,
)


@pytest.fixture
def rng():
    return np.random.default_rng(2)


def cells(rng, shape, n):
    seeds = np.zeros(shape, np.int32)
    seeds[rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)] = np.arange(1, n + 1)
    return watershed(rng.random(shape), seeds).astype(np.int32)


def contour_colours(picture, labels):
    """Return each object's palette colour as seen on its pixels that show a pure one."""
    colours = {}
    for label in np.unique(labels[labels > 0]):
        seen = {tuple(colour) for colour in picture[labels == label]}
        (colours[label],) = seen & {tuple(colour) for colour in PALETTE}
    return colours


@pytest.mark.parametrize(
    ("shape", "factor"),
    [((512, 300), 1), ((511, 300), 2), ((100, 200), 3), ((600, 20), 1), ((1, 1), MAX_ENLARGEMENT),
     ((1, 9), MAX_ENLARGEMENT)],
)  # fmt: skip
@pytest.mark.parametrize("channels", [(), (3,)])
def test_small_pictures_are_enlarged_by_a_whole_factor(rng, shape, factor, channels):
    image = rng.integers(0, 60000, shape + channels).astype(np.uint16)
    picture = draw_overlay(image, np.zeros(shape, np.int32))
    assert picture.dtype == np.uint8
    assert picture.shape == (shape[0] * factor, shape[1] * factor, 3)


@pytest.mark.parametrize("n", [2, 7, 40])
def test_touching_objects_have_different_contours(rng, n):
    labels = cells(rng, (520, 300), n)
    picture = draw_overlay(np.zeros(labels.shape, np.uint8), labels)
    colours = contour_colours(picture, labels)
    assert len(colours) == n
    for one, two in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        for first, second in np.unique(np.stack([one[one != two], two[one != two]], 1), axis=0):
            assert colours[first] != colours[second]


def test_objects_with_a_small_gap_have_different_contours_too():
    labels = np.zeros((520, 40), np.int32)
    gap = max(NEIGHBOUR_DISTANCES) - 1
    labels[10:20, 5:15], labels[20 + gap : 40, 5:15] = 1, 1 + len(PALETTE)
    colours = contour_colours(draw_overlay(np.zeros(labels.shape, np.uint8), labels), labels)
    assert len(set(colours.values())) == 2


def test_only_labelled_pixels_are_coloured(rng):
    image = rng.integers(0, 255, (520, 100)).astype(np.uint8)
    labels = np.zeros((520, 100), np.int32)
    labels[100:200, 20:60] = 2**31 - 1
    picture = draw_overlay(image, labels)
    grey = (picture == picture[..., :1]).all(axis=2)
    np.testing.assert_array_equal(grey[labels == 0], True)
    assert not grey[labels > 0].any()


def test_more_neighbours_than_colours_do_not_fail():
    labels = np.ones((520, 520), np.int32)
    for index in range(12):
        labels[40 * index + 10 : 40 * index + 30, 100:400] = index + 2
    assert draw_overlay(np.zeros(labels.shape, np.uint8), labels).shape == (520, 520, 3)


def test_an_image_full_of_one_object_or_constant_is_drawn():
    picture = draw_overlay(np.full((520, 5), 9, np.uint16), np.ones((520, 5), np.int32))
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1


def test_the_file_is_a_png_with_the_same_picture(tmp_path, rng):
    image = rng.random((30, 40, 3)).astype(np.float32)
    labels = cells(rng, (30, 40), 3)
    write_overlay(tmp_path / "overlay.png", image, labels)
    with Image.open(tmp_path / "overlay.png") as file:
        np.testing.assert_array_equal(np.array(file), draw_overlay(image, labels))
    assert [path.name for path in tmp_path.iterdir()] == ["overlay.png"]


def test_other_suffixes_and_sizes_are_refused(tmp_path):
    image, labels = np.zeros((4, 5), np.uint8), np.zeros((4, 5), np.int32)
    with pytest.raises(ImageError, match=r"o\.jpg: found suffix '\.jpg', overlays are written as"):
        write_overlay(tmp_path / "o.jpg", image, labels)
    with pytest.raises(ImageError, match="must be equal"):
        draw_overlay(image, labels.T)
