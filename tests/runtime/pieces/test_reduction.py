"""Reduced pictures: means of blocks and the first pixel's label, however bands lie."""

import numpy as np
import pytest

from samzoo.runtime.pieces import reduction
from samzoo.runtime.pixels.reader import ArrayReader
from samzoo.runtime.windows.source import ImageSource


@pytest.fixture
def bands():
    """Labels in bands of a given height, as a ``Result`` gives them."""
    return GivenBands


class GivenBands:
    """See ``bands``."""

    def __init__(self, labels, height):
        self.labels, self.band_height = labels, height

    def bands(self):
        for row in range(0, len(self.labels), self.band_height):
            yield self.labels[row : row + self.band_height]


@pytest.mark.parametrize("shape", [(40, 60), (41, 59), (40, 60, 3)])
@pytest.mark.parametrize("height", [1, 7, 16, 64])
def test_blocks_are_averaged_and_labels_taken_at_their_first_pixel(
    monkeypatch, rng, bands, shape, height
):
    monkeypatch.setattr(reduction, "LARGEST", 15)
    image = rng.integers(0, 60000, shape).astype(np.uint16)
    labels = rng.integers(0, 99, shape[:2]).astype(np.int32)
    small, chosen = reduction.reduced(
        ImageSource(ArrayReader(image), "image"), bands(labels, height)
    )
    np.testing.assert_array_equal(chosen, labels[::4, ::4])
    assert small.shape == (*chosen.shape, *shape[2:])
    for row, column in [(0, 0), (3, 9), (chosen.shape[0] - 2, chosen.shape[1] - 2)]:
        block = image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        np.testing.assert_array_equal(small[row, column], block.mean((0, 1)).astype(np.uint16))


def test_an_image_that_is_small_enough_stays_as_it_is(rng, bands):
    image = rng.integers(0, 255, (20, 30)).astype(np.uint8)
    labels = rng.integers(0, 9, (20, 30)).astype(np.int32)
    small, chosen = reduction.reduced(ImageSource(ArrayReader(image), "image"), bands(labels, 8))
    np.testing.assert_array_equal(small, image)
    np.testing.assert_array_equal(chosen, labels)
