"""Windows with the most to see: the same for an array and for an image read in strips."""

import numpy as np
import pytest

from samzoo.runtime.automatic import interest
from samzoo.runtime.automatic.interest import ArrayPixels, Interest
from samzoo.runtime.pixels.reader import ArrayReader
from samzoo.runtime.windows import source as sources
from samzoo.runtime.windows.source import ImageSource


def grey(image):
    return np.repeat(image[..., None], 3, axis=2)


def interest_of(image):
    return Interest.of_pixels(ArrayPixels(image), grey)


def test_windows_lie_where_there_are_edges(discs):
    image = discs((200, 300), [(150, 240), (40, 60), (60, 60)])
    found = interest_of(image)
    first, second = found.best((64, 64), 2)
    assert first[0] <= 40
    assert first[2] >= 65
    assert first[1] <= 55 < 65 <= first[3]
    assert second[0] <= 145 < 155 <= second[2]
    assert second[1] <= 235 < 245 <= second[3]
    assert len(found.best((64, 64), 6)) == 2  # there is nothing else to see


def test_an_even_area_is_not_interesting_however_bright(discs):
    image = discs((200, 200), [(30, 30), (40, 50)], high=60)
    image[120:, 100:] = 255
    image[0, 0] = 1
    (window,) = interest_of(image[:100]).best((64, 64), 1)
    assert window[0] < 30 < window[2]


def test_a_window_is_the_image_if_the_image_is_small(rng):
    image = rng.integers(0, 255, (20, 33)).astype(np.uint8)
    assert interest_of(image).best((20, 33), 3) == [(0, 0, 20, 33)]


def test_strips_give_the_same_as_the_whole(monkeypatch, rng):
    image = rng.integers(0, 255, (300, 410)).astype(np.uint8)
    whole = interest_of(image)
    monkeypatch.setattr(sources, "STRIP", 128)
    parts = Interest.of_pixels(ImageSource(ArrayReader(image), "image"), grey)
    assert parts.best((100, 90), 4) == whole.best((100, 90), 4)


@pytest.mark.parametrize("size", [(1, 1), (7, 500), (500, 7)])
def test_thin_images_have_a_window(size):
    image = np.zeros(size, np.uint8)
    image[0, 0] = 1
    side = (min(size[0], 64), min(size[1], 64))
    (y0, x0, y1, x1) = interest_of(image).best(side, 1)[0]
    assert (y1 - y0, x1 - x0) == side


def test_cells_grow_with_the_image(monkeypatch, rng):
    monkeypatch.setattr(interest, "MOST_CELLS", 4)
    image = rng.integers(0, 255, (130, 70)).astype(np.uint8)
    found = interest_of(image)
    assert found.cell == 64
    assert len(found.best((64, 64), 1)) == 1
