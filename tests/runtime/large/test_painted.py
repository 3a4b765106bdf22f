"""Labels of prompted objects band by band are those of the whole image."""

import numpy as np
import pytest

from samzoo.runtime.large import painted
from samzoo.runtime.prompts.cutouts import cut_out, labels_from_masks


@pytest.mark.parametrize("block", [16, 32, 64, 256])
def test_bands_join_to_what_the_whole_image_is_painted(block, monkeypatch):
    rng = np.random.default_rng(0)
    masks = np.zeros((40, 150, 120), bool)
    for mask in masks[1:]:  # the first one stays empty
        (y, x), (height, width) = rng.integers(0, 110, 2), rng.integers(1, 90, 2)
        mask[y : y + height, x : x + width] = True
        mask &= rng.random(mask.shape) < 0.8
    monkeypatch.setattr(painted, "BLOCK", block)
    bands = painted.Painted([cut_out(mask) for mask in masks], (150, 120)).bands()
    np.testing.assert_array_equal(np.concatenate([*bands]), labels_from_masks(masks))
