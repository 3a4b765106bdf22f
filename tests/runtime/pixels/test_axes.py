"""Planes and channels of arrays with several axes."""

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.pixels.axes import Planes
from samzoo.runtime.pixels.source_spec import SourceSpec


def picked(array, axes, *, names=(), coloured=False, **choice):
    planes = Planes(array.shape, axes, SourceSpec("a.tif", **choice), names, coloured)
    return planes.ordered(array[planes.index((0, 0, *planes.size))])


ARRAY = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)  # t c z y x


def test_planes_count_in_order_whatever_lies_between_their_axes():
    for plane in range(8):
        found = picked(ARRAY, "tczyx", plane=plane, channel=1)
        np.testing.assert_array_equal(found, ARRAY[plane // 4, 1, plane % 4])


def test_channels_have_numbers_and_names():
    one = ARRAY[0, :, 0]
    for channel in (2, "2", "cy5"):
        found = picked(one, "cyx", names=("DAPI", "GFP", "Cy5"), channel=channel)
        np.testing.assert_array_equal(found, one[2])


def test_three_channels_are_colours_only_if_the_file_says_so():
    one = ARRAY[0, :, 0]
    colours = picked(one, "cyx", coloured=True)
    np.testing.assert_array_equal(colours, np.moveaxis(one, 0, -1))
    np.testing.assert_array_equal(picked(one, "cyx", coloured=True, channel="blue"), one[2])
    with pytest.raises(ImageError, match="one of 3 channels with --channel: 0 a, 1, 2 c"):
        picked(one, "cyx", names=("a", "", "c"))


def test_a_missing_choice_names_all_that_are_missing():
    with pytest.raises(ImageError, match=r"T 2, C 3, .* one of 8 planes .*, and one of 3 channels"):
        picked(ARRAY, "tczyx")


@pytest.mark.parametrize(
    ("choice", "message"),
    [({"plane": 8, "channel": 0}, "plane 8 does not exist, the file has 8: 0 to 7"),
     ({"plane": -1, "channel": 0}, "plane -1 does not exist"),
     ({"plane": 0, "channel": 3}, "found 3, the file has 3: 0 to 2")],
)  # fmt: skip
def test_choices_outside_the_file_are_refused(choice, message):
    with pytest.raises(InputError, match=message):
        picked(ARRAY, "tczyx", **choice)


def test_axes_without_rows_are_refused():
    with pytest.raises(ImageError, match="expected one letter each with y and x"):
        picked(ARRAY, "tczqx")
