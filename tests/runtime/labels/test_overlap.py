"""Crops and overlapping tiles of training images among those for validation are told."""

import numpy as np
import pytest

from samzoo.runtime.labels import overlap
from samzoo.runtime.labels.overlap import FEWEST, windows_of


def about_overlap(training, validation):
    pixels = sum(image.size for image in validation.values())
    return overlap.about_overlap(iter(training), iter(validation.items()), pixels=pixels)


def field(seed=0, shape=(300, 320), dtype=np.uint8):
    """A picture with noise, as cameras make it."""
    rng = np.random.default_rng(seed)
    wave = 40 * np.sin(np.arange(shape[1]) / 9)
    return (rng.normal(90, 12, shape) + wave).astype(dtype)


def green(image):
    return np.dstack([image * 0, image, image * 0])


PARTS = {
    "crop": lambda a: a[37:180, 51:200],
    "overlapping tile": lambda a: np.concatenate([field(9)[:100, :120], a[250:, :120]]),
    "mirrored crop": lambda a: a[30:180, 200:40:-1],
    "turned crop": lambda a: np.rot90(a[30:180, 40:200]),
    "crop in another container": lambda a: green(a[37:180, 51:200]),
    "whole": lambda a: a,
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_part_of_a_training_image_is_told(part, dtype):
    whole = field(dtype=dtype)
    shown = PARTS[part](whole) if part != "overlapping tile" or dtype == np.uint8 else whole[200:]
    (said,) = about_overlap([field(5), whole], {"b.tif": field(7, dtype=dtype), "a.tif": shown})
    assert said.startswith("1 of 2 validation images share parts with training images")
    assert "(a.tif)" in said


def test_a_part_in_colours_is_told():
    colours = np.dstack([field(1), field(2), field(3)])
    assert about_overlap([colours], {"a": colours[10:150, 20:170]})
    assert about_overlap([colours], {"a": np.dstack([field(1), field(2), field(4)])}) == []


def test_other_fields_of_the_same_sample_share_nothing():
    assert about_overlap([field(1), field(2)], {"a": field(3), "b": field(4)}) == []


def test_neighbouring_tiles_without_overlap_share_nothing():
    whole = field()
    assert about_overlap([whole[:, :160]], {"a": whole[:, 160:]}) == []


def test_flat_ground_with_equal_drawn_objects_is_no_overlap(discs):
    first, second = discs((200, 200), [(50, 50), (120, 90)]), discs((200, 200), [(90, 150)])
    assert about_overlap([first], {"a": second}) == []


def test_images_smaller_than_a_window_have_none():
    assert about_overlap([field()], {"a": field(shape=(5, 400)), "b": np.zeros((1, 1))}) == []


def test_windows_do_not_depend_on_where_the_image_is_cut(monkeypatch):
    from samzoo.runtime.labels import overlap

    whole = field()
    expected = windows_of(whole)
    assert len(expected) > 10 * FEWEST
    monkeypatch.setattr(overlap, "_ROWS", 17)
    np.testing.assert_array_equal(windows_of(whole), expected)
    assert np.isin(windows_of(whole[40:, 30:]), expected).all()
