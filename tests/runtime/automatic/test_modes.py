"""The modes amg and apg on the toy model, whose answers are known."""

import numpy as np
import pytest

from samzoo.runtime.automatic.amg import AmgParameters, remove_small_regions
from samzoo.runtime.automatic.apg import ApgParameters, seed_points
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.model import Model

CENTERS = [(15, 20), (40, 90), (100, 30), (85, 110)]

LOOSE = AmgParameters(
    points_per_side=8, pred_iou_thresh=0.05, stability_score_thresh=0.5, with_background=False
)


@pytest.fixture
def image(discs):
    """Larger than the toy's field of 64 pixels, in both directions."""
    return discs((120, 128), CENTERS)


def test_apg_finds_what_ais_finds_in_all_tiles(toy_model, image):
    told = []
    labels = toy_model.segment(image, mode="apg", progress=lambda *args: told.append(args))
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels, toy_model.segment(image))
    assert told[-1] == ("prompt", 4, 4)
    assert ("embed", 9, 9) in told


def test_amg_covers_all_tiles_and_keeps_masks_in_their_inner_parts(toy_model, image):
    embeddings = toy_model.embed(image)
    told = []
    found = toy_model.generate_masks(
        embeddings, parameters=LOOSE, progress=lambda *args: told.append(args)
    )
    assert told[-1][1] == told[-1][2] < 9 * 64  # points in the overlaps are asked once
    union = np.any([one.full((120, 128)) for one in found], axis=0)
    np.testing.assert_array_equal(union, image > 0)
    for one in found:
        x0, y0, x1, y1 = one.box
        center = (y0 + y1) / 2, (x0 + x1) / 2
        inner = [
            tile.inner
            for tile in embeddings.tiles
            if tile.inner[0] <= one.point[1] < tile.inner[2]
            and tile.inner[1] <= one.point[0] < tile.inner[3]
        ]
        ((top, left, bottom, right),) = inner
        assert top <= center[0] < bottom
        assert left <= center[1] < right
    labels = toy_model.segment(image, mode="amg", parameters=LOOSE)
    np.testing.assert_array_equal(labels > 0, image > 0)


def test_amg_shrinks_a_large_image_for_a_model_without_scale(toy_config, toy_networks, image):
    model = Model(toy_config(scale=None, ais=False), toy_networks)
    model.segment(image, mode="amg", parameters=LOOSE)
    assert toy_networks.images[0].shape == (60, 64, 3)
    assert len(toy_networks.images) == 1


@pytest.mark.parametrize("mode", ["amg", "apg"])
def test_a_constant_image_has_no_object(toy_model, mode):
    labels = toy_model.segment(np.full((30, 40), 7, np.uint8), mode=mode)
    assert labels.shape == (30, 40)
    assert not labels.any()


@pytest.mark.parametrize("mode", ["amg", "apg"])
def test_thresholds_that_nothing_passes_give_no_object(toy_model, image, mode):
    parameters = {
        "amg": AmgParameters(points_per_side=2, pred_iou_thresh=0.9),
        "apg": ApgParameters(foreground_threshold=2.0),
    }[mode]
    assert not toy_model.segment(image, mode=mode, parameters=parameters).any()


def test_a_mode_is_checked_with_its_parameters(toy_model, image):
    with pytest.raises(InputError, match="mode must be one of ais, amg, apg, got 'auto'"):
        toy_model.segment(image, mode="auto")
    with pytest.raises(
        InputError, match="parameters of the mode apg are ApgParameters, got AisParameters"
    ):
        toy_model.segment(image, mode="apg", parameters=AisParameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AmgParameters(points_per_side=0), "points_per_side must be 1 to 512, got 0"),
        (lambda: AmgParameters(stability_score_offset=-1), "stability_score_offset must not be"),
        (lambda: AmgParameters(min_mask_region_area=-1), "min_mask_region_area must not be"),
        (lambda: ApgParameters(min_size=-1), "min_size must not be negative, got -1"),
    ],
)
def test_parameters_out_of_range_are_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_small_regions_are_filled_or_removed_but_never_the_whole_mask():
    mask = np.zeros((20, 20), np.bool_)
    mask[2:12, 2:12] = True
    mask[4, 4] = mask[8:11, 8:11] = False  # holes of 1 and 9
    mask[15, 15] = mask[16, 16] = True  # one part of 2: they touch at a corner
    filled = remove_small_regions(mask, 9, holes=True)
    assert filled.sum() == mask.sum() + 1
    assert filled[4, 4]
    np.testing.assert_array_equal(remove_small_regions(mask, 2, holes=False), mask)
    cleaned = remove_small_regions(mask, 3, holes=False)
    assert cleaned.sum() == mask.sum() - 2
    largest = remove_small_regions(mask, 1000, holes=False)
    np.testing.assert_array_equal(largest, cleaned)
    nothing = np.zeros((4, 4), np.bool_)
    for holes in (False, True):
        assert not remove_small_regions(nothing, 3, holes=holes).any() or holes


def test_masks_with_small_regions_lose_them(toy_model, image):
    embeddings = toy_model.embed(image)
    parameters = AmgParameters(
        points_per_side=8, pred_iou_thresh=0.05, stability_score_thresh=0.5,
        min_mask_region_area=12,
    )  # fmt: skip
    before = toy_model.generate_masks(embeddings, parameters=LOOSE)
    after = toy_model.generate_masks(embeddings, parameters=parameters)
    assert 0 < len(after) <= len(before)


@pytest.mark.parametrize("shape", [(1, 1), (2, 9), (9, 9)])
def test_a_region_on_the_border_gets_a_point_of_its_own(shape):
    ones = np.ones(shape, np.float32)
    points = seed_points(ones, 1 - ones, 1 - ones, parameters=ApgParameters())
    assert points.shape == (1, 2)
    expected = [4, 4] if shape == (9, 9) else [0, 0]
    np.testing.assert_array_equal(points[0], expected)


def test_no_seed_gives_no_point():
    ones = np.ones((5, 6), np.float32)
    assert seed_points(ones, ones, ones, parameters=ApgParameters()).shape == (0, 2)
