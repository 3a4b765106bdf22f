"""The part of an image that models see: all of it, or a typical crop, the same each time."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.zoo.suggestions.view import SIDE, read_view


def write(path, image):
    tifffile.imwrite(path, image, photometric="rgb" if image.ndim == 3 else "minisblack")
    return SourceSpec(str(path))


def test_a_small_image_is_seen_whole(tmp_path, rng):
    image = rng.integers(0, 255, (40, SIDE), dtype=np.uint8)
    view = read_view(write(tmp_path / "a.tif", image))
    assert view.is_whole
    np.testing.assert_array_equal(view.image, image)


def test_a_crop_has_detail_but_not_the_most(tmp_path, rng):
    """Eight places in a row: four are empty, three have texture, and one has a scratch."""
    image = np.zeros((SIDE // 4, 8 * SIDE), np.uint8)
    for place, high in ((4, 40), (5, 50), (6, 60), (7, 255)):
        texture = rng.integers(0, high, (SIDE // 4, SIDE), dtype=np.uint8)
        image[:, place * SIDE : (place + 1) * SIDE] = texture
    view = read_view(write(tmp_path / "a.tif", image))
    y0, x0, y1, x1 = view.window
    assert (y0, y1, x1 - x0) == (0, SIDE // 4, SIDE)
    assert not view.is_whole
    assert 3.5 * SIDE < x0 < 6.5 * SIDE
    np.testing.assert_array_equal(view.image, image[y0:y1, x0:x1])
    assert read_view(SourceSpec(str(tmp_path / "a.tif"))).window == view.window


def test_colours_with_one_full_channel_are_read_as_grey_and_said(tmp_path, rng):
    image = np.zeros((30, 30, 3), np.uint8)
    image[..., 1] = rng.integers(0, 255, (30, 30))
    view = read_view(write(tmp_path / "a.tif", image))
    assert view.image.ndim == 2
    assert "green" in view.notes[0]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(NotFoundError):
        read_view(SourceSpec(str(tmp_path / "none.tif")))
