"""What TIFF tags say of samples: honoured or refused."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import ImageError
from samzoo.runtime.pixels.tiff.meaning import Meaning

GREY = np.random.default_rng(6).integers(0, 256, (20, 30)).astype(np.uint8)


def read(path, image, *, as_labels=False, is_imagej=False, **options):
    """Write samples, read them back, and give them their meaning; returns notes too."""
    tifffile.imwrite(path / "a.tif", image, **options)
    with tifffile.TiffFile(path / "a.tif") as file:
        meaning = Meaning(file.pages.first, "a.tif", is_imagej, as_labels)
        return meaning.apply(file.pages.first.asarray()), meaning.notes


@pytest.mark.parametrize("bits", [2, 4, 6])
def test_few_bits_are_spread_over_0_to_255_but_labels_are_not(tmp_path, bits):
    pytest.importorskip("imagecodecs")
    values = GREY % 2**bits
    found, _ = read(tmp_path, values, bitspersample=bits, photometric="minisblack")
    np.testing.assert_array_equal(found, np.rint(values * (255 / (2**bits - 1))))
    found, _ = read(tmp_path, values, as_labels=True, bitspersample=bits, photometric="minisblack")
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_white_is_zero_in_the_bits_that_are_used(tmp_path, bits):
    pytest.importorskip("imagecodecs")
    values = (GREY.astype(np.uint16) * 251) % 2**bits
    found, notes = read(tmp_path, values, bitspersample=bits, photometric="miniswhite")
    np.testing.assert_array_equal(found, 2**bits - 1 - values)
    assert "its white is zero" in notes[0]


def test_labels_keep_their_numbers_where_white_is_zero(tmp_path):
    found, notes = read(tmp_path, GREY, as_labels=True, photometric="miniswhite")
    np.testing.assert_array_equal(found, GREY)
    assert notes == []
    mask = GREY > 100
    np.testing.assert_array_equal(read(tmp_path, mask, as_labels=True)[0], mask)


@pytest.mark.parametrize("dtype", ["f4", "i2"])
def test_white_is_zero_means_nothing_for_other_numbers(tmp_path, dtype):
    with pytest.raises(ImageError, match=r"a\.tif: says that white is zero, but its values of"):
        read(tmp_path, GREY.astype(dtype), photometric="miniswhite")


def test_an_imagej_table_that_grows_brighter_is_for_display(tmp_path):
    ramp = np.arange(256, dtype=np.uint16) * 257
    fire = np.stack([ramp, ramp // 2, ramp[::-1] // 8])
    found, notes = read(tmp_path, GREY, is_imagej=True, photometric="palette", colormap=fire)
    np.testing.assert_array_equal(found, GREY)
    assert "look-up table" in notes[0]
    rng = np.random.default_rng(8)
    colours = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    found, notes = read(tmp_path, GREY, is_imagej=True, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(found, np.moveaxis(colours[:, GREY] // 257, 0, -1))
    assert notes == []


def test_samples_that_are_not_explained_get_a_note(tmp_path):
    image = np.repeat(GREY[..., None], 4, axis=2)
    image[..., 3] = GREY[::-1]
    found, notes = read(tmp_path, image, photometric="rgb", extrasamples=["unspecified"])
    np.testing.assert_array_equal(found, image[..., :3])
    assert "1 more samples" in notes[0]
    with pytest.raises(ImageError, match="transparent"):
        read(tmp_path, image, photometric="rgb", extrasamples=["unassalpha"])


@pytest.mark.parametrize(
    ("photometric", "what"), [("cielab", "CIE L"), ("cfa", "colour filter"), ("mask", "mask")]
)
def test_other_meanings_are_refused_by_name(tmp_path, photometric, what):
    image = np.repeat(GREY[..., None], 3, axis=2) if photometric == "cielab" else GREY
    with pytest.raises(ImageError, match=rf"a\.tif: holds .*{what}.*save it as RGB or grey"):
        read(tmp_path, image, photometric=photometric)


def test_a_value_that_means_no_data_is_refused(tmp_path):
    image = GREY.astype(np.float32)
    tag = (42113, "s", 0, "-9999", True)
    np.testing.assert_array_equal(read(tmp_path, image, extratags=[tag])[0], image)
    image[3, 4:6] = -9999
    with pytest.raises(ImageError, match="2 values are -9999, which the file says means no data"):
        read(tmp_path, image, extratags=[tag])
