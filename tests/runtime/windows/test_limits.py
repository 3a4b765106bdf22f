"""Intensity limits found window by window are those of the whole image."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import intensity_limits, to_0_255
from samzoo.runtime.pixels.reader import ArrayReader
from samzoo.runtime.windows import source as source_module
from samzoo.runtime.windows.limits import image_limits, order_statistics
from samzoo.runtime.windows.source import ImageSource

DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "i8", "u8", "f4", "f8"]


def values(dtype, size, rng):
    found = rng.normal(0, 3e4, size)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return (found * rng.choice([1e-30, 1, 1e6], size)).astype(dtype)
    limits = np.iinfo(dtype)
    scaled = found * min(limits.max / 1e5, 1e12)
    return np.clip(scaled, limits.min, limits.max // 2).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_order_statistics_are_those_of_the_sorted_values(dtype, rng):
    data = values(dtype, 3001, rng)
    data[100:200] = data[0]  # ties
    ranks = [0, 1, 30, 31, 1500, 2998, 3000]
    pieces = np.array_split(data, 7)
    found = order_statistics(lambda: iter(pieces), np.dtype(dtype), ranks)
    expected = np.sort(data)
    assert found == {rank: float(expected[rank]) for rank in ranks}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("intensity", ["none", "min_max", "percentile"])
def test_windows_are_stretched_as_the_whole_image(dtype, intensity, rng, monkeypatch):
    monkeypatch.setattr(source_module, "STRIP", 16)
    image = values(dtype, (50, 61), rng)
    if dtype == "f8":
        image *= 1e-3
    preprocessing = Preprocessing(intensity=intensity, percentiles=(0.7, 99.1))
    limits = image_limits(ImageSource(ArrayReader(image), "image"), preprocessing)
    whole = to_0_255(image, preprocessing)
    part = to_0_255(image[7:33, 11:50], preprocessing, limits.stretch)
    np.testing.assert_array_equal(part, whole[7:33, 11:50])
    assert not limits.constant


def test_a_constant_image_is_found_to_be_one():
    source = ImageSource(ArrayReader(np.full((40, 30), 9, np.uint8)), "image")
    assert image_limits(source, Preprocessing(intensity="percentile")).constant


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("channels", [1, 3])
def test_borders_and_outliers_are_left_out_as_in_the_whole_image(dtype, channels, rng, monkeypatch):
    monkeypatch.setattr(source_module, "STRIP", 16)
    image = rng.gamma(0.3, 50, (90, 80)) + rng.normal(100, 2, (90, 80))
    image[30:40, 30:42] = 50_000
    image = np.pad(image.astype(dtype), ((9, 20), (17, 0)))
    image = np.stack([image] * channels, axis=-1).squeeze()
    preprocessing = Preprocessing(intensity="percentile", percentiles=(0.1, 99.9))
    limits = image_limits(ImageSource(ArrayReader(image), "image"), preprocessing)
    assert limits.border
    assert limits.outliers is not None
    assert limits.stretch == intensity_limits(image, preprocessing)
