"""Maps averaged over placements of the tiles, by networks that see another map in every tile."""

import numpy as np
import pytest

from samzoo.runtime.automatic.maps import placed_maps
from samzoo.runtime.engine.encoding import choose_placements, encode_tiles
from samzoo.runtime.errors import InputError


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (150, 170)).astype(np.uint8)


def maps(model, image, placements, tile_shape=None):
    found = choose_placements(model.config, image.shape, tile_shape, None, placements)
    return placed_maps(model.networks, model.config, image, found, None)


@pytest.mark.parametrize("tile_shape", [None, (40, 32)])
def test_maps_are_the_mean_of_those_of_each_placement(leaning_model, image, tile_shape):
    model = leaning_model()
    found = choose_placements(model.config, image.shape, tile_shape, None, 3)
    each = [
        model.ais_maps(encode_tiles(model.networks, model.config, image, tiles)) for tiles in found
    ]
    assert len(each) == 3
    assert np.ptp(each, axis=0).max() > 0.1
    np.testing.assert_allclose(maps(model, image, 3, tile_shape), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_array_equal(maps(model, image, 1, tile_shape), each[0])


def test_more_placements_depend_less_on_the_tiles(leaning_model, image):
    model = leaning_model()
    differences = [
        np.abs(maps(model, image, n, (40, 40)) - maps(model, image, n, (48, 32))).mean()
        for n in (1, 4)
    ]
    assert differences[1] < differences[0] / 2


def test_segment_floods_the_averaged_maps(leaning_model, discs):
    model = leaning_model()
    image = discs((120, 128), [(15, 20), (40, 90), (100, 30)])
    calls = []
    labels = model.segment(image, placements=3, progress=lambda *call: calls.append(call))
    assert labels.max() == 3
    total = sum(map(len, choose_placements(model.config, image.shape, None, None, 3)))
    assert calls == [("embed", done, total) for done in range(1, total + 1)]
    assert len(model.networks.images) == total


def test_an_image_within_one_tile_has_one_placement(toy_model, discs):
    toy_model.segment(discs((60, 50), [(20, 20)]), placements=4)
    assert len(toy_model.networks.images) == 1


@pytest.mark.parametrize("placements", [0, -1, 17])
def test_other_numbers_are_refused(toy_model, image, placements):
    with pytest.raises(InputError, match="allowed are 1 to 16"):
        toy_model.segment(image, placements=placements)


def test_other_modes_and_embeddings_have_one_placement(toy_model, image):
    for given, mode in ((image, "amg"), (image, "apg"), (toy_model.embed(image), "ais")):
        with pytest.raises(InputError, match="is for images and the mode ais"):
            toy_model.segment(given, mode=mode, placements=2)
