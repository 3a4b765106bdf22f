"""Seeds of many blocks get the numbers that SciPy gives in the whole image."""

import numpy as np
import pytest
from scipy import ndimage

from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.tiles import whole
from samzoo.runtime.pieces.numbering import SEEDS, first_pixels, number_seeds, read_numbers
from samzoo.runtime.pieces.plan import Plan
from samzoo.runtime.pieces.work import WorkFolder

EIGHT = np.ones((3, 3))


def numbered(mask, folder, block, heights=(0.0, 1.0)):
    """Label each block alone, join the blocks, and put them together again."""
    plan = Plan(mask.shape, (tuple(whole(mask.shape)),), AisParameters(), block=block)
    work = WorkFolder(folder)
    for index in range(plan.blocks):
        y0, x0, y1, x1 = window = plan.block_window(index)
        labels = ndimage.label(mask[y0:y1, x0:x1], EIGHT)[0].astype(np.int32)
        first = first_pixels(labels, window, mask.shape[1])
        low = heights[0] + index / 100
        arrays = {"labels": labels, "first": first, "heights": np.array([low, heights[1]])}
        work.write(SEEDS, index, arrays)
    number_seeds(plan, work)
    numbers = read_numbers(work)
    joined = np.zeros(mask.shape, np.int32)
    for index in range(plan.blocks):
        y0, x0, y1, x1 = plan.block_window(index)
        stored = work.read(SEEDS, index)["labels"]
        joined[y0:y1, x0:x1] = numbers.of_block(index)[stored]
    return joined, numbers


@pytest.mark.parametrize("density", [0.2, 0.4, 0.6])
@pytest.mark.parametrize("block", [7, 16, 64])
def test_numbers_are_those_of_the_whole_image(tmp_path, rng, density, block):
    mask = rng.random((50, 61)) < density
    joined, numbers = numbered(mask, tmp_path, block)
    expected, count = ndimage.label(mask, EIGHT)  # in the raster order of first pixels, too
    np.testing.assert_array_equal(joined, expected)
    assert numbers.count == count


@pytest.mark.parametrize("flip", [False, True])
def test_seeds_that_meet_at_a_corner_of_four_blocks_are_one(tmp_path, flip):
    mask = np.eye(8, dtype=bool)
    joined, numbers = numbered(mask[:, ::-1] if flip else mask, tmp_path, 4)
    assert numbers.count == 1
    assert (joined > 0).sum() == 8


def test_an_image_without_seeds_has_no_number(tmp_path):
    joined, numbers = numbered(np.zeros((9, 9), bool), tmp_path, 4)
    assert (numbers.count, joined.max()) == (0, 0)


def test_heights_are_the_extremes_of_all_blocks(tmp_path):
    _, numbers = numbered(np.ones((8, 8), bool), tmp_path, 4, heights=(0.25, 0.75))
    assert numbers.heights == (0.25, 0.75)


def test_finished_numbers_are_not_made_again(tmp_path):
    mask = np.ones((8, 8), bool)
    _, first = numbered(mask, tmp_path, 4)
    plan = Plan(mask.shape, (tuple(whole(mask.shape)),), AisParameters(), block=4)
    work = WorkFolder(tmp_path)
    for index in range(plan.blocks):
        (tmp_path / SEEDS / f"{index:06d}.npz").unlink()
    number_seeds(plan, work)
    np.testing.assert_array_equal(read_numbers(work).numbers, first.numbers)
