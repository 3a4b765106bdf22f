"""Tiles that are computed when they are asked for answer as the array of all tiles does."""

import numpy as np
import pytest

from samzoo.runtime.engine.tile_values import REMEMBERED, LazyTiles


@pytest.fixture
def tiles(rng):
    """Twenty tiles as an array, lazy ones that remember what they computed, and that list."""
    values = rng.standard_normal((20, 256, 2, 2)).astype(np.float32)
    asked = []

    def compute(index):
        asked.append(index)
        return values[index]

    return values, LazyTiles(len(values), 2, compute), asked


@pytest.mark.parametrize("index", [0, 7, -1, -20, slice(3, 6), slice(None), slice(9, 2, -3)])
def test_indices_mean_what_they_mean_in_an_array(tiles, index):
    values, lazy, _ = tiles
    np.testing.assert_array_equal(lazy[index], values[index])


@pytest.mark.parametrize("index", [20, -21])
def test_there_is_no_tile_beyond_the_last(tiles, index):
    with pytest.raises(IndexError):
        tiles[1][index]


def test_nothing_is_computed_before_it_is_asked_for(tiles):
    values, lazy, asked = tiles
    assert (len(lazy), lazy.shape) == (20, values.shape)
    assert asked == []


def test_a_remembered_tile_is_not_computed_again(tiles):
    _, lazy, asked = tiles
    for index in (4, 5, 4, -16, 5):
        lazy[index]
    assert asked == [4, 5]


def test_the_tile_used_longest_ago_is_forgotten_first(tiles):
    _, lazy, asked = tiles
    for index in range(REMEMBERED):
        lazy[index]
    lazy[0]  # now 1 was used longest ago
    lazy[REMEMBERED]
    asked.clear()
    lazy[0]
    lazy[1]
    assert asked == [1]


def test_all_tiles_together_are_the_array(tiles):
    values, lazy, _ = tiles
    np.testing.assert_array_equal(np.asarray(lazy), values)
    np.testing.assert_array_equal(np.stack(list(lazy)), values)
    assert np.asarray(lazy, np.float64).dtype == np.float64
