"""Masks cut out, painted as labels and put back."""

import numpy as np
import pytest

from samzoo.runtime.errors import ShapeError
from samzoo.runtime.prompts.cutouts import cut_out, labels_from_masks, place_masks


def test_small_masks_stay_visible_on_large_ones():
    small, large = np.pad(np.ones((2, 2), bool), 2), np.ones((6, 6), bool)
    for masks in ([small, large], [large, small]):
        labels = labels_from_masks(np.stack(masks))
        assert (labels > 0).all()
        number = 1 if masks[0] is small else 2
        np.testing.assert_array_equal(labels == number, small)


def test_equal_masks_are_painted_in_order_and_empty_ones_not_at_all():
    mask = np.pad(np.ones((2, 2), bool), 1)
    labels = labels_from_masks(np.stack([mask, mask & False, mask]))
    np.testing.assert_array_equal(labels, mask * 3)
    assert labels_from_masks(np.zeros((0, 4, 4), bool)).shape == (4, 4)
    with pytest.raises(ShapeError, match=r"\(n, height, width\)"):
        labels_from_masks(mask)


def test_cut_out_keeps_the_tight_box(labels):
    row, column, part = cut_out(labels == 3)
    height, width = part.shape
    np.testing.assert_array_equal(part, (labels == 3)[row : row + height, column : column + width])
    assert part.sum() == (labels == 3).sum()
    assert part[0].any()
    assert part[:, -1].any()


def test_cut_out_masks_are_put_back_where_they_were(labels):
    masks = np.stack([labels == 3, labels == 6, labels < 0])
    placed = place_masks([cut_out(mask) for mask in masks], labels.shape)
    np.testing.assert_array_equal(placed, masks)
    assert place_masks([], (3, 5)).shape == (0, 3, 5)
