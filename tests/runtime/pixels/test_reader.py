"""Readers that pick a colour or turn the picture, window by window."""

import numpy as np
import pytest

from samzoo.runtime.pixels.orientation import turned
from samzoo.runtime.pixels.reader import ArrayReader, ColourReader, TurnedReader

IMAGE = np.arange(6 * 9 * 3, dtype=np.uint8).reshape(6, 9, 3)


def test_a_colour_is_one_channel_of_each_window():
    reader = ColourReader(ArrayReader(IMAGE), 2)
    assert reader.shape == (6, 9)
    np.testing.assert_array_equal(reader((1, 2, 4, 7)), IMAGE[1:4, 2:7, 2])


@pytest.mark.parametrize("orientation", range(2, 9))
def test_windows_of_a_turned_picture_are_those_that_are_seen(orientation):
    reader = TurnedReader(ArrayReader(IMAGE, planes=(4,), orientation=orientation))
    seen = turned(IMAGE, orientation)
    assert reader.shape == seen.shape
    assert reader.stack_shape == (4, *seen.shape[:2])
    np.testing.assert_array_equal(reader((1, 2, 4, 5)), seen[1:4, 2:5])
    assert f"orientation {orientation}" in reader.notes[0]
