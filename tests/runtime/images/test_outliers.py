"""Borders and outliers are left out of the statistics, and ordinary images are left alone."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images import intensity
from samzoo.runtime.images.intensity import intensity_limits, to_0_255
from samzoo.runtime.images.outliers import outliers_from, whole_box, without_hot_pixels

PERCENTILES = Preprocessing(intensity="percentile", percentiles=(0.1, 99.9))


@pytest.fixture
def nuclei(rng):
    """Soft discs on a noisy background, as a camera sees them: 16 bits."""
    rows, columns = np.mgrid[:200, :220]
    image = rng.normal(100, 5, (200, 220))
    for y, x in rng.integers(10, 190, (30, 2)):
        distance = np.hypot(rows - y, columns - x)
        image += rng.uniform(300, 1500) / (1 + np.exp(2 * (distance - 8)))
    return image.clip(0).astype(np.uint16)


def plain(image):
    return tuple(np.percentile(image, PERCENTILES.percentiles))


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "f8"])
def test_an_ordinary_image_has_neither(nuclei, dtype):
    image = nuclei.astype(dtype)
    assert whole_box(image) == (0, 0, 200, 220)
    assert intensity_limits(image, PERCENTILES) == (*plain(image), np.inf)


@pytest.mark.parametrize("dtype", ["u2", "f4", "f8"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_bright_disk_does_not_move_the_percentiles(nuclei, dtype, channels):
    image = nuclei.astype(dtype)
    image[40:70, 90:120] = 20_000  # 2 % of the image
    image = np.stack([image] * 3, axis=-1) if channels == 3 else image
    rest = image[image < 20_000]
    low, high, start = intensity_limits(image, PERCENTILES)
    assert (low, high) == plain(rest)
    assert rest.max() < start < 20_000
    assert to_0_255(image, PERCENTILES)[50, 100].tolist() == [255, 255, 255]


def test_hot_pixels_become_their_neighbours(nuclei, rng):
    image = nuclei.copy()
    hot = rng.random(image.shape) < 0.005
    image[hot] = 40_000
    found, expected = to_0_255(image, PERCENTILES), to_0_255(nuclei, PERCENTILES)
    assert np.abs(found - expected)[~hot].max() < 5
    assert np.median(np.abs(found - expected)[hot]) < 5
    assert (found == 255).mean() < 0.003


def test_outliers_in_a_spot_stay_and_single_ones_at_the_corner_go():
    image = np.arange(100, dtype=np.uint16).reshape(10, 10)
    image[4:8, 4:8], image[0, 0], image[2, 9] = 5000, 5000, 5000
    found = without_hot_pixels(image, 1000)
    assert (found[5:7, 5:7] == 5000).all()
    assert found[0, 0] == 11
    assert found[2, 9] < 100
    assert (found[image < 1000] == image[image < 1000]).all()
    assert without_hot_pixels(found, 6000) is found


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1)])
def test_the_thinnest_images_have_neighbours_too(shape):
    image = np.full(shape, 7, np.uint8)
    image[0, 0] = 200
    assert without_hot_pixels(image, 100)[-1, -1] in (7, 200)


@pytest.mark.parametrize("margins", [((20, 20), (30, 30)), ((0, 25), (0, 0)), ((3, 0), (0, 40))])
def test_a_border_of_zeros_is_no_part_of_the_picture(nuclei, margins):
    image = np.pad(nuclei, margins)
    (top, _), (left, _) = margins
    assert whole_box(image) == (top, left, top + 200, left + 220)
    low, high, _ = intensity_limits(image, PERCENTILES)
    assert (low, high) == plain(nuclei)


def test_a_border_that_looks_like_the_background_is_part_of_it(nuclei):
    dark = np.where(nuclei > 120, nuclei, 0)
    image = np.pad(dark, 20)
    assert whole_box(image) == (0, 0, *image.shape)
    assert whole_box(np.zeros((5, 6))) == (0, 0, 5, 6)


def test_a_dark_side_of_one_value_above_zero_is_part_of_the_picture(nuclei):
    image = np.pad(nuclei, 20, constant_values=50)
    assert whole_box(image) == (0, 0, *image.shape)
    gradient = np.broadcast_to(20 + np.arange(64, dtype=np.uint8) // 2, (48, 64))
    assert whole_box(gradient) == (0, 0, 48, 64)


def test_an_object_on_a_background_of_one_value_is_no_picture_in_a_border():
    image = np.zeros((100, 100), np.uint8)
    image[30:70, 30:70] = 100 + np.arange(40)
    assert whole_box(image) == (0, 0, 100, 100)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda image: np.where(image > 200, 20_000, image), id="objects"),
        pytest.param(lambda image: np.where(image > 100_000, image, 100) + image % 3, id="noise"),
    ],
)
def test_bright_objects_with_hard_edges_are_no_outliers(nuclei, change):
    image = change(nuclei)
    image[20:30, 20:30] = 20_000
    assert intensity_limits(image.astype(np.uint16), PERCENTILES).outliers == np.inf


def test_bright_objects_of_several_values_are_no_outliers(nuclei):
    image = nuclei.copy()
    image[40:70, 90:120] = np.arange(15_000, 24_000, 10).reshape(30, 30)
    assert intensity_limits(image, PERCENTILES) == (*plain(image), np.inf)


def test_few_outliers_that_move_nothing_are_left(nuclei):
    image = nuclei.copy()
    image[5, 5] = 65535
    assert intensity_limits(image, PERCENTILES) == (*plain(image), np.inf)
    start = outliers_from([image.ravel()], image.dtype, 1 / image.size)
    assert start is not None
    assert start < 65535


def test_other_models_take_all_values(nuclei):
    image = np.pad(nuclei, 20)
    image[40:70, 90:120] = 20_000
    assert intensity_limits(image, Preprocessing(intensity="min_max")) == (0, 20_000, np.inf)


def test_strips_are_counted_together(nuclei, monkeypatch):
    image = nuclei.copy()
    image[40:70, 90:120] = 20_000
    expected = intensity_limits(image, PERCENTILES)
    monkeypatch.setattr(intensity, "STRIP", 7)
    assert intensity_limits(image, PERCENTILES) == expected
