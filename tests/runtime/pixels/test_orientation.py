"""Orientations, against Pillow's."""

import numpy as np
import pytest
from PIL import Image, ImageOps

from samzoo.runtime.pixels.orientation import (
    TAG,
    orientation_of,
    swaps_axes,
    turned,
    window_before,
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_picture_and_its_windows_are_turned_as_pillow_turns_it(orientation):
    stored = np.arange(12 * 20, dtype=np.uint8).reshape(12, 20)
    image = Image.fromarray(stored)
    image.getexif()[TAG] = orientation
    expected = np.array(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(stored, orientation), expected)
    assert swaps_axes(orientation) == (expected.shape == (20, 12))
    for window in ((0, 0, *expected.shape), (2, 3, 7, 11), (0, 1, 1, 2)):
        y0, x0, y1, x1 = window_before(window, expected.shape, orientation)
        part = turned(stored[y0:y1, x0:x1], orientation)
        np.testing.assert_array_equal(part, expected[window[0] : window[2], window[1] : window[3]])


def test_colours_stay_at_the_end():
    stored = np.arange(2 * 4 * 3).reshape(2, 4, 3)
    np.testing.assert_array_equal(turned(stored, 6), np.rot90(stored, -1))


@pytest.mark.parametrize("stated", [None, 0, 9, "3", 1.5])
def test_what_is_no_orientation_leaves_the_picture(stated):
    assert orientation_of(stated) == 1
