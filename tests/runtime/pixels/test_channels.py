"""The channel that a user names."""

import pytest

from samzoo.runtime.errors import InputError
from samzoo.runtime.pixels.channels import COLOURS, channel_number


@pytest.mark.parametrize(
    ("asked", "names", "number"),
    [(0, ("", ""), 0), ("1", ("", ""), 1),
     (" 1 ", ("DAPI", "GFP"), 1), ("dapi", ("GFP", "DAPI"), 1),
     ("Blue", COLOURS, 2), ("488", ("405", "488"), 1), ("0", ("488", "405"), 0),
     ("DAPI", ("DAPI",), 0)],
)  # fmt: skip
def test_numbers_names_and_colours_are_found(asked, names, number):
    assert channel_number(asked, names, "a.tif") == number


@pytest.mark.parametrize(
    ("asked", "names", "message"),
    [(7, ("", "", ""), r"a\.tif: --channel: found 7, the file has 3: 0 to 2$"),
     ("7", ("",), "found 7, the image is grey and has one channel; omit --channel"),
     ("dapy", ("DAPI", "GFP"), "the file has 2: 0 DAPI, 1 GFP; did you mean 'DAPI'"),
     ("DAPI", ("DAPI (405)", "GFP"), r"did you mean 'DAPI \(405\)'"),
     ("-1", ("", ""), "found -1"), ("", ("a", "b"), "the file has 2"),
     ("gren", COLOURS, "0 red, 1 green, 2 blue; did you mean 'green'"),
     ("GFP", ("GFP", "gfp"), "names the channels 0, 1; give the number")],
)  # fmt: skip
def test_other_channels_are_refused_with_those_there_are(asked, names, message):
    with pytest.raises(InputError, match=message):
        channel_number(asked, names, "a.tif")
