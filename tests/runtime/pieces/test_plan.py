"""The plan of a large image: every pixel in one block, every tile in one unit."""

import numpy as np
import pytest

from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.tiles import even_tiles
from samzoo.runtime.pieces.plan import ALIGNMENT, Plan, cover, overlap, part

SIZE = (300, 410)


@pytest.fixture
def plan():
    placements = tuple(tuple(even_tiles(SIZE, 64, 8, phase)) for phase in (0.0, 0.5))
    return Plan(SIZE, placements, AisParameters(), block=128, margin=48)


def test_each_pixel_lies_in_one_block(plan):
    painted = np.zeros(SIZE, int)
    for index in range(plan.blocks):
        y0, x0, y1, x1 = plan.block_window(index)
        painted[y0:y1, x0:x1] += 1
    assert plan.grid == (3, 4)
    assert (painted == 1).all()


def test_the_units_of_a_placement_cover_each_pixel_once(plan):
    units = zip(plan.units, plan.unit_windows, strict=True)
    painted = np.zeros((2, *SIZE), int)
    for tiles, window in units:
        placement = 0 if tiles[0] in plan.placements[0] else 1
        y0, x0, y1, x1 = window
        painted[placement, y0:y1, x0:x1] += 1
    assert (painted == 1).all()


def test_the_tiles_of_all_units_are_the_tiles_of_the_plan(plan):
    expected = sorted(tile.outer for tiles in plan.placements for tile in tiles)
    assert sorted(tile.outer for unit in plan.units for tile in unit) == expected


@pytest.mark.parametrize("window", [(0, 0, 1, 1), (127, 127, 129, 129), (100, 0, 300, 410)])
def test_blocks_and_units_in_a_window_are_those_that_share_a_pixel_with_it(plan, window):
    blocks = [i for i in range(plan.blocks) if overlap(plan.block_window(i), window)]
    assert plan.blocks_in(window) == blocks
    for placement, tiles in enumerate(plan.placements):
        units = [
            i
            for i, unit in enumerate(plan.unit_windows)
            if plan.units[i][0] in tiles and overlap(unit, window)
        ]
        assert plan.units_in(window, placement) == units
        assert units


def test_a_margin_ends_at_the_border(plan):
    assert plan.grown((0, 10, 128, 128), 48) == (0, 0, 176, 176)
    assert plan.grown((256, 384, 300, 410), 48) == (208, 336, 300, 410)


def test_a_window_to_smooth_begins_at_a_multiple_of_the_vectors(plan):
    for index in range(plan.blocks):
        window = plan.block_window(index)
        y0, x0, y1, x1 = plan.smoothing_window(window)
        assert x0 % ALIGNMENT == 0
        assert (y0, x0) <= window[:2]
        assert y1 >= window[2]
        assert x1 >= min(window[3] + ALIGNMENT, SIZE[1])


def test_windows_are_joined_shared_and_indexed():
    assert cover([(0, 5, 2, 9), (1, 3, 4, 6)]) == (0, 3, 4, 9)
    assert overlap((0, 0, 4, 4), (2, 3, 9, 9)) == (2, 3, 4, 4)
    assert overlap((0, 0, 4, 4), (4, 0, 8, 4)) is None
    image = np.arange(80).reshape(8, 10)
    held = image[1:7, 2:9]
    np.testing.assert_array_equal(held[part((2, 3, 4, 6), (1, 2, 7, 9))], image[2:4, 3:6])
