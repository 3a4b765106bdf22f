"""The example image of a trial."""

import numpy as np
import pytest

from samzoo.zoo.tools.examples import LOW_CONTRAST, POINTS, example_image, example_points


@pytest.mark.parametrize("size", [(192, 256), (256, 256), (100, 65)])
def test_contrast_is_what_the_row_will_say(size):
    image = example_image(size)
    assert image.shape == size
    assert image.dtype == np.uint8
    assert (image.min(), image.max()) == (0, 255)
    low = example_image(size, low_contrast=True)
    assert (low.min(), low.max()) == LOW_CONTRAST
    # The same picture but for rounding.
    expected = 20 + image.astype(float) * 100 / 255
    assert np.abs(low - expected).max() <= 1


@pytest.mark.parametrize("size", [(192, 256), (1024, 1024), (100, 130)])
def test_points_lie_on_bright_discs(size):
    image, points = example_image(size), example_points(size)
    assert points.shape == (POINTS, 2)
    assert len({tuple(point) for point in points.tolist()}) == POINTS
    assert all(image[int(y), int(x)] > 150 for x, y in points)
