"""Augmentation: what each change does to a crop, within its range, and that off is off."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.training.config import Intensities
from samzoo.training.data import augmentation
from samzoo.training.data.augmentation import augmented
from samzoo.training.data.crops import Crop, training_objects
from samzoo.training.data.targets import distance_targets

NAMES = [field.name for field in dataclasses.fields(Intensities)]
ALL = Intensities(**dict.fromkeys(NAMES, 1.0))


def crop(*, colour=False, shape=(64, 56)):
    image, labels = tiny.make_cells(shape, 0)
    pixels = np.repeat(image.astype(np.float32)[..., None], 3, axis=2)
    pixels *= 255 / pixels.max()
    if colour:
        pixels *= np.array([1.0, 0.6, 0.8], np.float32)
    return Crop(pixels, labels, distance_targets(labels), (0, 0, 0, 0, 1000))


def only(name, seed=0, *, colour=False):
    given = crop(colour=colour)
    return given, augmented(given, Intensities(**{name: 1.0}), np.random.default_rng(seed))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("colour", [False, True])
def test_each_change_alone_makes_another_picture_of_the_same_range(name, colour):
    changed = 0
    for seed in range(10):
        given, made = only(name, seed, colour=colour)
        before = given.image.copy()
        assert made.image.dtype == np.float32
        assert made.image.shape == given.image.shape
        assert 0 <= made.image.min() <= made.image.max() <= 255
        assert made.labels.dtype == np.int32
        assert made.targets.dtype == np.float32
        assert made.key == given.key
        np.testing.assert_array_equal(given.image, before)
        changed += not np.array_equal(made.image, given.image)
        if name not in ("disk", "border"):
            assert made.labels is given.labels
            assert made.targets is given.targets
        if not colour:
            np.testing.assert_array_equal(made.image[..., 0], made.image[..., 2])
    assert changed >= (0 if name == "colour" and not colour else 8)


def test_nothing_is_done_and_no_number_is_drawn_without_probabilities():
    given, rng = crop(), np.random.default_rng(3)
    assert augmented(given, Intensities(), rng) is given
    assert rng.random() == np.random.default_rng(3).random()


def test_the_same_numbers_make_the_same_crop():
    first, again = (augmented(crop(), ALL, np.random.default_rng(5), gamma=1.0) for _ in "ab")
    other = augmented(crop(), ALL, np.random.default_rng(6), gamma=1.0)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert not np.array_equal(first.image, other.image)


def test_probabilities_are_kept():
    rng, settings = np.random.default_rng(0), Intensities(contrast=0.25)
    given = crop()
    found = [np.array_equal(augmented(given, settings, rng).image, given.image) for _ in range(400)]
    assert 0.68 < np.mean(found) < 0.82


def test_gamma_is_a_power_within_its_strength(rng):
    given = crop()
    y, x = np.argwhere((given.image[..., 0] > 60) & (given.image[..., 0] < 200))[0]
    before = given.image[y, x, 0] / 255
    powers = [
        np.log(augmented(given, Intensities(), rng, gamma=1.0).image[y, x, 0] / 255)
        / np.log(before)
        for _ in range(50)
    ]
    assert 0.49 < min(powers) < 0.7
    assert 1.4 < max(powers) < 2.01


def test_contrast_and_background_are_lines_within_their_ranges():
    """A flat crop tells the slope and the offset."""
    levels, factors = [], []
    for seed in range(60):
        flat = dataclasses.replace(crop(), image=np.zeros((64, 56, 3), np.float32))
        flat.image[0] = 127.5
        flat.image[1] = 255
        rng = np.random.default_rng(seed)
        made = augmented(flat, Intensities(background=1.0), rng).image[..., 0] / 255
        assert made[1, 0] == pytest.approx(1)
        levels.append(made[2, 0])
        made = augmented(flat, Intensities(contrast=1.0), rng).image[..., 0] / 255
        assert made[2, 0] == 0
        factors.append(made[0, 0] * 2)
    low, high = augmentation.BACKGROUND_LEVEL
    assert min(levels) == 0 > low
    assert 0.35 < max(levels) <= high
    low, high = augmentation.CONTRAST
    assert low <= min(factors) < 0.5
    assert 1.2 < max(factors) <= high + 1e-6


def test_hot_pixels_are_few_and_white():
    most = 0.0
    for seed in range(20):
        given, made = only("hot_pixels", seed)
        changed = (made.image != given.image).any(axis=2)
        assert (made.image[changed] == 255).all()
        most = max(most, float(changed.mean()))
    assert 0.002 < most < 0.012  # a twentieth of a percent of 3,584 pixels are 18


def test_nothing_is_learned_under_a_disk():
    areas = []
    for seed in range(20):
        given, made = only("disk", seed)
        hidden = made.labels == -1
        assert (made.image[hidden] == 255).all()
        assert (made.targets[:, hidden] == [[0], [1], [1]]).all()
        np.testing.assert_array_equal(made.labels[~hidden], given.labels[~hidden])
        np.testing.assert_array_equal(made.image[~hidden], given.image[~hidden])
        areas.append(float(hidden.mean()))
    assert 0.01 < max(areas) < 0.04


def test_what_a_border_hides_is_background_and_objects_are_left():
    widths = []
    for seed in range(40):
        given, made = only("border", seed)
        hidden = (made.image == 0).all(axis=2) & (made.targets[0] == 0)
        assert not made.labels[hidden].any()
        assert training_objects(made.labels)
        kept = made.labels > 0
        np.testing.assert_array_equal(made.labels[kept], given.labels[kept])
        np.testing.assert_array_equal(made.targets[:, kept], given.targets[:, kept])
        assert (made.targets[0] == (made.labels > 0)).all() or (given.targets[0] == 0).any()
        widths.append(float((made.image != given.image).any(axis=(1, 2)).mean()))
    assert max(widths) > 0.3


def test_a_border_that_would_hide_the_only_object_is_left_out():
    given = crop()
    labels = np.zeros_like(given.labels)
    labels[:6, :6] = 4
    lonely = dataclasses.replace(given, labels=labels, targets=distance_targets(labels))
    for seed in range(30):
        made = augmented(lonely, Intensities(border=1.0), np.random.default_rng(seed))
        assert training_objects(made.labels) == [4]


def test_an_empty_crop_stays_empty():
    given = crop()
    labels = np.zeros_like(given.labels)
    empty = dataclasses.replace(given, labels=labels, targets=distance_targets(labels))
    for seed in range(10):
        made = augmented(empty, ALL, np.random.default_rng(seed), gamma=1.0)
        assert set(np.unique(made.labels)) <= {-1, 0}
        assert (made.targets[0] == 0).all()


def test_light_falls_along_one_direction():
    flat = dataclasses.replace(crop(), image=np.full((64, 56, 3), 200, np.float32))
    made = augmented(flat, Intensities(gradient=1.0), np.random.default_rng(0)).image[..., 0]
    assert made.max() == pytest.approx(200, abs=0.01)
    assert made.min() >= 200 * (1 - augmentation.GRADIENT) - 0.01
    np.testing.assert_allclose(np.diff(made, n=2, axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.diff(made, n=2, axis=1), 0, atol=1e-3)


def test_blur_is_the_gaussian_that_the_runtime_uses():
    from scipy.ndimage import gaussian_filter

    given, made = only("blur", 1)
    rng = np.random.default_rng(1)
    rng.random()
    sigma = rng.uniform(*augmentation.BLUR)
    expected = gaussian_filter(given.image[..., 0], sigma)
    np.testing.assert_allclose(made.image[8:-8, 8:-8, 0], expected[8:-8, 8:-8], atol=0.5)


def test_stains_without_a_change_are_the_same_colours(monkeypatch):
    for name, value in (("STAIN", (1.0, 1.0)), ("SHIFT", 0.0), ("SATURATION", (1.0, 1.0))):
        monkeypatch.setattr(augmentation, name, value)
    given, made = only("colour", colour=True)
    np.testing.assert_allclose(made.image, np.maximum(given.image, 1), atol=0.02)
