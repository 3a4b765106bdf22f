"""Values that make an image dark, faint or wrong are told, and those of good images are not."""

from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime import read_image
from samzoo.runtime.automatic.value_range import left_out, range_doubts
from samzoo.runtime.formats.config import Preprocessing


@pytest.fixture(scope="module")
def nuclei():
    return read_image(Path(__file__).resolve().parents[3] / "examples/nuclei.tif")


@pytest.mark.parametrize("intensity", ["none", "min_max", "percentile"])
def test_a_hot_pixel_is_told_where_it_darkens_the_rest(nuclei, intensity):
    """12-bit data in 16 bits with one dead pixel at the top, far above all others."""
    hot = nuclei.copy()
    hot[3, 3] = 65535
    told = [note for note in range_doubts(hot, intensity) if "far brighter" in note]
    assert bool(told) == (intensity != "percentile")
    assert not any("far brighter" in note for note in range_doubts(nuclei, intensity))
    eight = np.clip(nuclei, 0, 20).astype(np.uint8)
    eight[3, 3] = 255
    told = [note for note in range_doubts(eight, intensity) if "far brighter" in note]
    assert bool(told) == (intensity == "min_max")


@pytest.mark.parametrize("intensity", ["none", "min_max", "percentile"])
def test_8_bits_of_which_few_values_are_used_are_told_to_a_model_that_keeps_them(nuclei, intensity):
    faint = (nuclei // 8).astype(np.uint8)
    told = [note for note in range_doubts(faint, intensity) if "hardly any contrast" in note]
    assert bool(told) == (intensity == "none")
    full = np.clip(nuclei, 0, 255).astype(np.uint8)
    assert not any("hardly any" in note for note in range_doubts(full, intensity))


def test_values_that_wrapped_around_are_told(nuclei):
    wrapped = nuclei.astype(np.uint16) - np.uint16(20)
    assert any("wrapped around" in note for note in range_doubts(wrapped, "percentile"))
    mask = (nuclei > 20) * np.uint16(65535)
    saturated = np.clip(nuclei.astype(np.int64) * 1500, 0, 65535).astype(np.uint16)
    for right in (nuclei, nuclei.astype(np.uint16), mask, saturated, nuclei.astype(np.int16) - 20):
        assert not any("wrapped" in note for note in range_doubts(right, "percentile"))


PERCENTILES = Preprocessing(intensity="percentile", percentiles=(0.1, 99.9))


def test_a_border_and_outliers_are_told_once_and_left_out(nuclei):
    changed = np.pad(nuclei + np.uint16(50), 20)
    changed[60:80, 60:80] = 9000
    picture, told = left_out(changed, PERCENTILES)
    assert [("border of the value 0 (25%" in note, "far brighter" in note) for note in told] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert "0.6% of the pixels" in told[1]
    assert picture.shape == nuclei.shape
    assert picture.max() == changed[changed < 9000].max()


def test_nothing_is_left_out_of_a_good_image_or_for_other_models(nuclei):
    for image, intensity in ((nuclei, PERCENTILES), (np.pad(nuclei, 9), Preprocessing())):
        picture, told = left_out(image, intensity)
        assert picture is image or np.array_equal(picture, image)
        assert told == []
