"""Prompts made of masks: micro-sam's rules, with scikit-image and SciPy as oracles."""

import numpy as np
import pytest
from scipy import ndimage

from samzoo.runtime.errors import InputError
from samzoo.runtime.images.tiles import whole
from samzoo.runtime.prompts.derivation import (
    box_of_mask,
    check_projection,
    mask_as_logits,
    peaks,
    points_of_mask,
    prompt_of_mask,
)
from samzoo.runtime.prompts.tokens import NEGATIVE, POSITIVE


@pytest.fixture
def mask():
    """A disc and a bar that leaves it, away from the border."""
    rows, columns = np.mgrid[:60, :80]
    found = np.hypot(rows - 25, columns - 30) < 12
    found[24:28, 30:62] = True
    return found


def test_a_box_is_tight_and_in_xyxy(mask):
    (rows, columns) = ndimage.find_objects(mask.astype(int))[0]
    np.testing.assert_array_equal(
        box_of_mask(mask), [columns.start, rows.start, columns.stop, rows.stop]
    )


def test_a_box_grows_by_a_fraction_or_by_pixels_and_ends_at_the_image(mask):
    x0, y0, x1, y1 = box_of_mask(mask)
    wide, high = 0.25 * (x1 - x0), 0.25 * (y1 - y0)
    expected = np.round([x0 - wide, y0 - high, x1 + wide, y1 + high])
    np.testing.assert_array_equal(box_of_mask(mask, 0.25), expected)
    np.testing.assert_array_equal(box_of_mask(mask, 5), [x0 - 5, y0 - 5, x1 + 5, y1 + 5])
    np.testing.assert_array_equal(box_of_mask(mask, 500), [0, 0, 80, 60])


def test_points_lie_on_the_side_that_their_label_says(mask):
    box = box_of_mask(mask, 6)
    points, labels = points_of_mask(mask, box)
    inside = mask[points[:, 1].astype(int), points[:, 0].astype(int)]
    np.testing.assert_array_equal(inside, labels == POSITIVE)
    assert {POSITIVE, NEGATIVE} == set(labels.tolist())


def test_a_single_point_is_the_innermost(mask):
    points, labels = points_of_mask(mask, box_of_mask(mask), single=True)
    depths = ndimage.distance_transform_edt(mask)
    ((x, y),) = points.astype(int)
    assert depths[y, x] > 0.9 * depths.max()
    assert labels.tolist() == [POSITIVE]


@pytest.mark.parametrize("distance", [1, 3, 5])
def test_peaks_are_those_of_scikit_image(rng, distance):
    feature = pytest.importorskip("skimage.feature")
    values = ndimage.gaussian_filter(rng.random((50, 70), dtype=np.float32), 2)
    expected = feature.peak_local_max(values, min_distance=distance, exclude_border=False)
    found = peaks(values, distance)
    np.testing.assert_array_equal(np.sort(found, axis=0), np.sort(expected, axis=0))
    assert len(found) > 5


def test_a_flat_map_has_no_peak():
    assert peaks(np.ones((9, 9), np.float32), 2).shape == (0, 2)


@pytest.mark.parametrize("projection", ["box", "mask", "points", "points_and_mask", "single_point"])
def test_each_projection_gives_its_own_tokens(mask, projection):
    prompt = prompt_of_mask(mask, projection)
    assert prompt.has_box == (projection in ("box", "mask"))
    assert (len(prompt.labels) == 1) == (projection == "single_point")
    assert prompt.coords.shape == (len(prompt.labels), 2)


def test_an_unknown_projection_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"found 'boxes', allowed: box, mask, points"):
        check_projection("boxes")


def test_a_mask_as_logits_is_certain_inside_and_outside(mask, toy_config):
    config = toy_config(scale=None)
    (tile,) = whole(mask.shape)
    logits = mask_as_logits(mask, tile, config)
    assert logits.shape == (1, config.mask_side, config.mask_side)
    probability = 1 / (1 + np.exp(-logits[0]))
    np.testing.assert_allclose(np.minimum(probability, 1 - probability), 1e-3, rtol=1e-3)
    factor = config.mask_side / 80  # the longest side fills the square
    rows, columns = round(60 * factor), round(80 * factor)
    assert not (logits[0, rows:] > 0).any()
    zoomed = ndimage.zoom(mask.astype(float), factor, order=1, grid_mode=True, mode="nearest")
    agree = (logits[0, :rows, :columns] > 0) == (zoomed[:rows, :columns] > 0.5)
    assert agree.mean() > 0.98
