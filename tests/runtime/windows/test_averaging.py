"""Means of blocks, with scikit-image as the oracle."""

import numpy as np
import pytest

from samzoo.runtime.windows.averaging import block_means


@pytest.mark.parametrize("shape", [(12, 18), (12, 18, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32])
@pytest.mark.parametrize("factor", [1, 2, 3, 6])
def test_whole_blocks_are_those_of_scikit_image(rng, shape, dtype, factor):
    measure = pytest.importorskip("skimage.measure")
    values = rng.integers(0, 127, shape).astype(dtype)
    blocks = (factor, factor, *[1] * (len(shape) - 2))
    expected = measure.block_reduce(values.astype(np.float64), blocks, np.mean)
    np.testing.assert_allclose(block_means(values, factor), expected, rtol=1e-12)


def test_the_last_pixels_are_repeated_where_a_block_reaches_beyond_the_image():
    values = np.array([[0.0, 2, 7], [4, 6, 7], [1, 3, 9]])
    np.testing.assert_array_equal(block_means(values, 2), [[3, 7], [2, 9]])


def test_sums_do_not_overflow():
    values = np.full((8, 8), 65535, np.uint16)
    np.testing.assert_array_equal(block_means(values, 8), [[65535]])
