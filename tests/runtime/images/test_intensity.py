"""Stretching to 0..255, the same for every dtype."""

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import is_constant, to_0_255

MODES = [
    Preprocessing(intensity="min_max"),
    Preprocessing(intensity="percentile", percentiles=(2.0, 98.0)),
]
ROUNDING = 2e-4
"""A few units in the last place of float32 at 255 (1.5e-5 each)."""


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 201, (30, 40, 3)).astype(np.uint8)


@pytest.mark.parametrize("preprocessing", MODES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("dtype", "factor", "offset"),
    [("u2", 257, 0), ("u4", 10**6, 5), ("i2", 1, -100), ("i8", 10**12, -(10**9)),
     ("f4", 1 / 255, 0), ("f4", 1, 1000), ("f8", 1e-300, 0), ("f8", 1e300, -1e300),
     ("f4", 1e36, 0)],
)  # fmt: skip
def test_the_same_picture_gives_the_same_result_in_every_dtype(
    picture, preprocessing, channels, dtype, factor, offset
):
    picture = picture if channels == 3 else picture[..., 0]
    scaled = picture.astype(np.float64 if dtype[0] == "f" else np.int64) * factor + offset
    expected = to_0_255(picture, preprocessing)
    found = to_0_255(scaled.astype(dtype), preprocessing)
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == (30, 40, 3)
    np.testing.assert_allclose(found, expected, atol=0.02 if offset == 1000 else ROUNDING)


@pytest.mark.parametrize("percentiles", [(0.0, 100.0), (1.0, 99.0), (0.5, 99.5)])
def test_percentiles_follow_the_formula_and_clip(picture, percentiles):
    found = to_0_255(picture, Preprocessing(intensity="percentile", percentiles=percentiles))
    low, high = np.percentile(picture, percentiles)
    expected = np.clip((picture - low) / (high - low) * 255, 0, 255)
    np.testing.assert_allclose(found, expected, atol=ROUNDING)
    assert found.min() == 0
    assert found.max() == 255


def test_statistics_are_taken_over_all_channels_together():
    image = np.zeros((2, 2, 3), np.uint16)
    image[..., 0], image[0, 0, 1] = 1000, 500
    found = to_0_255(image, Preprocessing(intensity="min_max"))
    np.testing.assert_allclose(found[0, 0], [255, 127.5, 0])


def test_none_keeps_uint8_and_stretches_the_others(picture):
    kept = to_0_255(picture, Preprocessing())
    assert kept.dtype == np.uint8
    np.testing.assert_array_equal(kept, picture)
    stretched = to_0_255(picture.astype(np.uint16), Preprocessing())
    expected = to_0_255(picture, Preprocessing(intensity="min_max"))
    np.testing.assert_array_equal(stretched, expected)


def test_grey_is_replicated(picture):
    found = to_0_255(picture[..., 0], Preprocessing())
    for channel in range(3):
        np.testing.assert_array_equal(found[..., channel], picture[..., 0])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
@pytest.mark.parametrize("preprocessing", MODES)
def test_a_constant_image_becomes_zeros(dtype, preprocessing):
    found = to_0_255(np.full((3, 4), 7, dtype), preprocessing)
    np.testing.assert_array_equal(found, np.zeros((3, 4, 3), np.float32))
    assert found.dtype == np.float32


def test_a_constant_uint8_image_stays_with_none():
    found = to_0_255(np.full((3, 4), 7, np.uint8), Preprocessing())
    np.testing.assert_array_equal(found, np.full((3, 4, 3), 7, np.uint8))


def test_few_bright_pixels_survive_coinciding_percentiles():
    image = np.zeros((100, 100), np.uint16)
    image[5, 5] = 9
    found = to_0_255(image, MODES[1])
    assert found[5, 5, 0] == 255
    assert found.sum() == 3 * 255


def test_the_input_is_not_changed(picture):
    values = picture.astype(np.float32)
    before = values.copy()
    to_0_255(values, MODES[0])
    np.testing.assert_array_equal(values, before)


def test_a_span_beyond_float64_and_nan_are_refused():
    with pytest.raises(ImageError, match="span more than float64"):
        to_0_255(np.array([[-1.7e308, 1.7e308]]), MODES[0])
    with pytest.raises(ImageError, match="1 of 2 values are NaN"):
        to_0_255(np.array([[np.nan, 1]]), MODES[0])


def test_is_constant_tells_equal_values():
    assert is_constant(np.full((2, 3), 5))
    assert not is_constant(np.array([[0, 1]]))
