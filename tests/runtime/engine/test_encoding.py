"""The choice of tiles and their encoding: what each tile sees, and who may use the result."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.engine.encoding import (
    MAX_PLACEMENTS,
    check_origin,
    choose_placements,
    choose_tiles,
    embed_image,
    unused_tiling,
)
from samzoo.runtime.errors import ImageError, InputError, ShapeError
from samzoo.runtime.images.geometry import resize_image
from samzoo.runtime.images.intensity import to_0_255


@pytest.fixture
def image(rng):
    return rng.integers(0, 60000, (90, 120)).astype(np.uint16)


def test_each_tile_is_encoded_from_its_outer_window(toy_networks, toy_config, image):
    config = toy_config(scale=2.0, intensity="min_max")
    embeddings = embed_image(toy_networks, config, image, shrink=False)
    pixels = to_0_255(image, config.preprocessing)
    assert len(embeddings.tiles) > 4
    for seen, tile in zip(toy_networks.images, embeddings.tiles, strict=True):
        y0, x0, y1, x1 = tile.outer
        assert tile.size == (32, 32)
        np.testing.assert_array_equal(seen, resize_image(pixels[y0:y1, x0:x1], (64, 64)))


def test_intensities_are_those_of_the_whole_image_in_every_tile(toy_networks, toy_config, image):
    bright = image // 4
    bright[:5, :5] = 60000  # only the first tile has the highest value
    embed_image(toy_networks, toy_config(intensity="min_max"), bright, shrink=False)
    highest = [seen.max() for seen in toy_networks.images]
    assert highest[0] > 3.5 * max(highest[1:])


def test_a_model_without_a_scale_shrinks_the_image_only_if_asked(toy_networks, toy_config, image):
    config = toy_config(scale=None)
    assert len(embed_image(toy_networks, config, image, shrink=True).tiles) == 1
    assert len(embed_image(toy_networks, config, image, shrink=False).tiles) > 1
    given = embed_image(toy_networks, config, image, shrink=True, tile_shape=(40, 40), halo=(4, 4))
    assert len(given.tiles) == 9


def test_progress_is_told_after_each_tile(toy_networks, toy_config, image):
    told = []
    found = embed_image(
        toy_networks, toy_config(), image, shrink=False, progress=lambda *step: told.append(step)
    )
    count = len(found.tiles)
    assert told == [("embed", done, count) for done in range(1, count + 1)]


def test_lazy_tiles_are_encoded_once_when_asked_for_with_the_same_values(
    toy_networks, toy_config, image
):
    config, told = toy_config(scale=1.0, intensity="min_max"), []
    eager = embed_image(toy_networks, config, image, shrink=True)
    toy_networks.images.clear()
    lazy = embed_image(
        toy_networks, config, image, shrink=True, lazy=True, progress=lambda *at: told.append(at)
    )
    assert toy_networks.images == []
    last = len(lazy.tiles) - 1
    for _ in range(2):
        np.testing.assert_array_equal(lazy.values[last], eager.values[last])
    assert len(toy_networks.images) == 1
    assert told == [("embed", 1, 0)]
    np.testing.assert_array_equal(np.asarray(lazy.values), eager.values)


@pytest.mark.parametrize("value", [0, 7])
def test_a_constant_image_is_marked(toy_networks, toy_config, value):
    found = embed_image(
        toy_networks, toy_config(), np.full((20, 20), value, np.uint8), shrink=False
    )
    assert found.constant


def test_an_image_that_cannot_be_used_is_refused(toy_networks, toy_config):
    with pytest.raises(ImageError):
        embed_image(toy_networks, toy_config(), np.full((20, 20), np.nan), shrink=False)


def test_a_tile_must_fit_the_field_of_view(toy_config):
    config = toy_config(scale=2.0)
    choose_tiles(config, (200, 200), (24, 24), (4, 4))
    with pytest.raises(ShapeError, match="needs 34 pixels, the model's field of view is 32"):
        choose_tiles(config, (200, 200), (24, 24), (5, 4))


@pytest.mark.parametrize("scale", [None, 1.0])
def test_every_pixel_is_kept_once_in_each_placement(toy_config, scale):
    placements = choose_placements(toy_config(scale=scale), (150, 130), (40, 30), (8, 8), 3)
    assert len(placements) == 3
    assert len({tuple(tiles) for tiles in placements}) == 3
    for tiles in placements:
        kept = np.zeros((150, 130), int)
        for tile in tiles:
            y0, x0, y1, x1 = tile.inner
            kept[y0:y1, x0:x1] += 1
        assert (kept == 1).all()


def test_one_tile_has_one_place(toy_config):
    assert len(choose_placements(toy_config(), (50, 60), None, None, 5)) == 1


@pytest.mark.parametrize("count", [0, -1, MAX_PLACEMENTS + 1])
def test_the_number_of_placements_is_checked(toy_config, count):
    with pytest.raises(InputError, match=f"found {count}, allowed are 1 to {MAX_PLACEMENTS}"):
        choose_placements(toy_config(), (90, 90), None, None, count)


def test_embeddings_of_another_model_are_refused(toy_networks, toy_config, image):
    config = toy_config()
    found = embed_image(toy_networks, config, image, shrink=False)
    check_origin(found, config)
    other = dataclasses.replace(config, weights_digest="sha256:other")
    with pytest.raises(InputError, match="computed by the model sha256:toy, this is sha256:other"):
        check_origin(found, other)
    with pytest.raises(ShapeError, match="embed the image again"):
        check_origin(dataclasses.replace(found, values=np.asarray(found.values)[:, :, :8]), config)


UNUSED = "one tile covers the image, so {} nothing"


@pytest.mark.parametrize(
    ("size", "tile_shape", "halo", "placements", "unused"),
    [
        ((50, 60), None, None, 1, ""),
        ((50, 60), None, None, 2, "placements changes"),
        ((50, 60), None, (9, 9), 1, "halo changes"),
        ((30, 30), (40, 40), None, 1, "tile_shape changes"),
        ((30, 30), (40, 40), (4, 4), 3, "placements and tile_shape and halo change"),
        ((90, 120), None, (9, 9), 2, ""),
        ((50, 60), (30, 30), (4, 4), 2, ""),
    ],
)
def test_options_of_tiles_without_effect_are_named(
    toy_config, size, tile_shape, halo, placements, unused
):
    """The toy model sees 64 pixels at scale 1."""
    found = unused_tiling(toy_config(), size, tile_shape, halo, placements)
    assert found == ([UNUSED.format(unused)] if unused else [])
