"""Tiles on random sizes: each pixel once, windows inside the image, halos kept."""

import numpy as np
import pytest

from samzoo.runtime.engine.encoding import choose_tiles
from samzoo.runtime.errors import ShapeError
from samzoo.runtime.images.tiles import Tile, even_tiles, regular_tiles, whole, whole_windows


def draw_pair(rng, low, high):
    first, second = rng.integers(low, high, 2).tolist()
    return first, second


def count_inner(tiles, size):
    counts = np.zeros(size, int)
    for tile in tiles:
        y0, x0, y1, x1 = tile.inner
        counts[y0:y1, x0:x1] += 1
    return counts


def check(tiles, size, halo):
    np.testing.assert_array_equal(count_inner(tiles, size), 1)
    for tile in tiles:
        for axis in (0, 1):
            outer, inner = tile.outer[axis::2], tile.inner[axis::2]
            assert 0 <= outer[0] <= inner[0] < inner[1] <= outer[1] <= size[axis]
            assert outer[0] == 0 or inner[0] - outer[0] >= halo[axis]
            assert outer[1] == size[axis] or outer[1] - inner[1] >= halo[axis]


@pytest.mark.parametrize("seed", range(60))
def test_even_tiles_cover_each_pixel_once_with_their_halo(seed):
    rng = np.random.default_rng(seed)
    size = draw_pair(rng, 1, 300)
    field = int(rng.integers(1, 120))
    halo = int(rng.integers(0, (field + 1) // 2))
    tiles = even_tiles(size, field, halo)
    check(tiles, size, (halo, halo))
    assert all(tile.size == (min(field, size[0]), min(field, size[1])) for tile in tiles)


@pytest.mark.parametrize("seed", range(60))
def test_regular_tiles_cover_each_pixel_once_with_their_halo(seed):
    rng = np.random.default_rng(seed)
    size = draw_pair(rng, 1, 300)
    shape = draw_pair(rng, 1, 150)
    halo = draw_pair(rng, 0, 40)
    tiles = regular_tiles(size, shape, halo)
    check(tiles, size, halo)
    assert len(tiles) == -(-size[0] // shape[0]) * -(-size[1] // shape[1])


@pytest.mark.parametrize(("length", "count"), [(64, 1), (65, 2), (112, 2), (113, 3), (160, 3)])
def test_even_tiles_are_as_few_as_the_halo_allows(length, count):
    assert len(even_tiles((1, length), 64, 8)) == count


def test_an_image_that_fits_is_one_tile():
    assert even_tiles((64, 30), 64, 8) == whole((64, 30)) == [Tile((0, 0, 64, 30), (0, 0, 64, 30))]


def test_regular_tiles_are_known_on_a_small_image():
    first, second = regular_tiles((4, 10), (4, 6), (1, 2))
    assert (first.outer, first.inner) == ((0, 0, 4, 8), (0, 0, 4, 6))
    assert (second.outer, second.inner) == ((0, 4, 4, 10), (0, 6, 4, 10))


@pytest.mark.parametrize("seed", range(60))
def test_whole_windows_are_of_one_size_and_keep_the_halo(seed):
    rng = np.random.default_rng(seed)
    size, shape, halo = draw_pair(rng, 1, 300), draw_pair(rng, 1, 100), draw_pair(rng, 0, 20)
    tiles = regular_tiles(size, shape, halo, float(rng.choice([0, rng.uniform(0.01, 0.99)])))
    more = int(rng.integers(0, 30))
    window = tuple(side + 2 * margin + more for side, margin in zip(shape, halo, strict=True))
    seen = whole_windows(tiles, size, window)
    check(seen, size, halo)
    assert [tile.inner for tile in seen] == [tile.inner for tile in tiles]
    assert {tile.size for tile in seen} == {(min(window[0], size[0]), min(window[1], size[1]))}


@pytest.mark.parametrize("halo", [-1, 32, 40])
def test_a_halo_that_leaves_nothing_is_refused(halo):
    with pytest.raises(ShapeError, match=f"half the model's field of 64 pixels, got {halo}"):
        even_tiles((100, 100), 64, halo)


@pytest.mark.parametrize(("shape", "halo"), [((0, 4), (1, 1)), ((4, 4), (1, -1))])
def test_regular_tiles_refuse_impossible_numbers(shape, halo):
    with pytest.raises(ShapeError, match="tile_shape must be positive and halo not negative"):
        regular_tiles((10, 10), shape, halo)


@pytest.mark.parametrize("seed", range(30))
def test_moved_tiles_cover_each_pixel_once_with_their_halo(seed):
    rng = np.random.default_rng(seed)
    size, phase = draw_pair(rng, 1, 300), float(rng.uniform(0.01, 0.99))
    field = int(rng.integers(1, 120))
    halo = int(rng.integers(0, (field + 1) // 2))
    moved = even_tiles(size, field, halo, phase)
    check(moved, size, (halo, halo))
    assert {tile.size for tile in moved} == {(min(field, size[0]), min(field, size[1]))}
    tile_shape, halos = draw_pair(rng, 1, 100), draw_pair(rng, 0, 20)
    check(regular_tiles(size, tile_shape, halos, phase), size, halos)


def test_tiles_move_by_a_part_of_their_distance():
    assert [t.outer[1] for t in even_tiles((50, 290), 90, 20, 0.5)] == [0, 25, 75, 125, 175, 200]
    assert [t.inner[1] for t in regular_tiles((50, 250), (50, 100), (0, 9), 0.25)] == [
        0,
        25,
        125,
        225,
    ]


@pytest.mark.parametrize(("scale", "seen"), [(1.5, {(42, 42)}), (None, {(36, 22)})])
def test_chosen_tiles_are_seen_at_one_size_also_at_the_border(toy_config, scale, seen):
    config = toy_config(scale=scale)
    tiles = choose_tiles(config, (100, 90), (20, 10), (8, 6), phase=0.3)
    assert {tile.size for tile in tiles} == seen
    check(tiles, (100, 90), (8, 6))
