"""Masks at image size against segment-anything's two resizings in torch."""

import numpy as np
import pytest

from samzoo.runtime.images.geometry import input_size
from samzoo.runtime.prompts.enlargement import Enlargement, draw_mask, enlarge

TOLERANCE = 2e-5
"""torch enlarges in two steps and rounds its positions in float32 (logits between -4 and 4)."""

SIZES = {
    "the network's": (64, 64),
    "landscape": (45, 101),
    "portrait": (90, 61),
    "small": (9, 13),
    "row": (1, 40),
    "pixel": (1, 1),
}


def smooth_logits(side, rng):
    values = rng.standard_normal((side // 4 + 1, side // 4 + 1)).astype(np.float32)
    return np.kron(values, np.ones((4, 4), np.float32))[:side, :side]


def resized(logits, image_size, size):
    torch = pytest.importorskip("torch")
    rows, columns = input_size(size, image_size, None)
    tensor = torch.from_numpy(logits)[None, None]
    for kept, wanted in (((None, None), (image_size, image_size)), ((rows, columns), size)):
        tensor = torch.nn.functional.interpolate(
            tensor[:, :, : kept[0], : kept[1]], wanted, mode="bilinear", align_corners=False
        )
    return tensor[0, 0].numpy()


@pytest.mark.torch
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("side", [16, 32, 64, 24])
def test_logits_and_masks_equal_those_of_segment_anything(size, side, rng):
    logits = smooth_logits(side, rng)
    expected = resized(logits, 64, size)
    enlargement = Enlargement.between(side, 64, input_size(size, 64, None), size)
    assert enlargement.size == size
    window = enlarge(logits, enlargement, above=-100)
    assert (window.row, window.column, window.logits.shape) == (0, 0, size)
    np.testing.assert_allclose(window.logits, expected, atol=TOLERANCE)
    mask = np.zeros(size, np.bool_)
    draw_mask(logits, enlargement, 0.0, mask)
    np.testing.assert_array_equal(mask, expected > 0)


@pytest.mark.torch
@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_window_holds_every_pixel_above_the_threshold(size, rng):
    for _ in range(20):
        logits = np.full((32, 32), -3, np.float32)
        y, x = rng.integers(0, 32, 2)
        logits[y : y + 3, x : x + 2] = rng.uniform(0.1, 9)
        expected = resized(logits, 64, size) > -1
        enlargement = Enlargement.between(32, 64, input_size(size, 64, None), size)
        window = enlarge(logits, enlargement, above=-1.0)
        found = np.zeros(size, np.bool_)
        height, width = window.logits.shape
        found[window.row : window.row + height, window.column : window.column + width] = (
            window.logits > -1
        )
        np.testing.assert_array_equal(found, expected)
        assert window.logits.size < 0.5 * expected.size or min(size) < 10


def test_nothing_above_the_threshold_makes_an_empty_window_and_mask():
    enlargement = Enlargement.between(8, 32, (32, 20), (50, 31))
    logits = np.full((8, 8), -0.5, np.float32)
    assert enlarge(logits, enlargement, above=0.0).logits.shape == (0, 0)
    mask = np.zeros((50, 31), np.bool_)
    draw_mask(logits, enlargement, 0.0, mask)
    assert not mask.any()


def test_what_lies_in_the_padding_only_makes_no_mask():
    enlargement = Enlargement.between(8, 32, (32, 8), (64, 16))
    logits = np.full((8, 8), -1, np.float32)
    logits[:, 5:] = 1
    assert enlarge(logits, enlargement, above=0.0).logits.size == 0
