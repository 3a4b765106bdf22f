"""Maps averaged over placements and orientations of the tiles, by networks that lean to a side."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.automatic.maps import ORIENTATIONS, OUTSIDE, averaged_maps
from samzoo.runtime.engine.encoding import choose_placements, encode_tiles
from samzoo.runtime.errors import InputError
from samzoo.runtime.labels.views import eight_views


@pytest.fixture
def image(rng):
    return rng.integers(0, 256, (150, 170)).astype(np.uint8)


def maps(model, image, placements, tile_shape=None, *, average=1):
    found = choose_placements(model.config, image.shape, tile_shape, None, placements)
    return averaged_maps(model.networks, model.config, image, found, average, None)


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


def oriented(image, mirrored, turns):
    return np.rot90(image[..., ::-1] if mirrored else image, turns, (-2, -1))


def back(maps, mirrored, turns):
    found = np.rot90(maps, -turns, (-2, -1))
    return found[..., ::-1] if mirrored else found


@pytest.mark.parametrize("shape", [(64, 64), (40, 57), (128, 128)])  # one tile, and three each way
@pytest.mark.parametrize("average", ORIENTATIONS)
def test_averaged_maps_are_the_mean_of_those_of_the_image_as_it_may_lie(
    leaning_model, rng, shape, average
):
    model = leaning_model()
    image = rng.integers(0, 256, shape).astype(np.uint8)
    each = [back(maps(model, oriented(image, *how), 1), *how) for how in ORIENTATIONS[average]]
    found = maps(model, image, 1, average=average)
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-5)


@pytest.mark.parametrize("average", ORIENTATIONS)
def test_as_many_orientations_as_are_averaged_give_the_same_maps(leaning_model, rng, average):
    model = leaning_model()
    image = rng.integers(0, 256, (128, 128)).astype(np.uint8)
    first = maps(model, image, 1, average=average)
    for how in ORIENTATIONS[average]:
        turned = maps(model, oriented(image, *how), 1, average=average)
        np.testing.assert_allclose(back(turned, *how), first, atol=1e-5)
    assert average == 1 or not np.allclose(first, maps(model, image, 1), atol=0.01)


def test_orientations_are_the_eight_ways_in_which_an_image_may_lie():
    image = np.arange(6).reshape(2, 3)
    found = {oriented(image, *how).tobytes() for how in ORIENTATIONS[8]}
    assert found == {view.tobytes() for view in eight_views(image)}


def test_placements_and_orientations_are_averaged_together(leaning_model, image):
    model, calls = leaning_model(), []
    model.segment(image, placements=2, average=4, progress=lambda *call: calls.append(call))
    tiles = sum(map(len, choose_placements(model.config, image.shape, None, None, 2)))
    assert len(model.networks.images) == 4 * tiles
    assert calls == [("embed", done, 4 * tiles) for done in range(4, 4 * tiles + 1, 4)]


@pytest.mark.parametrize("average", [0, 3, -1, 16])
def test_other_numbers_of_orientations_are_refused(toy_model, image, average):
    with pytest.raises(InputError, match=f"average: found {average}, allowed are 1, 2, 4, 8"):
        toy_model.segment(image, average=average)


def test_other_modes_and_embeddings_have_one_orientation(toy_model, image):
    for given, mode in ((image, "amg"), (image, "apg"), (toy_model.embed(image), "ais")):
        with pytest.raises(InputError, match="average: is for images and the mode ais"):
            toy_model.segment(given, mode=mode, average=2)


def test_a_tile_in_which_nothing_stands_out_is_not_encoded(leaning_model, toy_config, discs):
    """The toy model's field is 64 pixels; discs lie in the first of several tiles."""
    plain = toy_config(scale=1.0, intensity="percentile")
    known = {"training": {"images": {"background": "dark", "colour": False}}}
    image = discs((64, 300), [(30, 30)])
    models = [leaning_model(plain), leaning_model(dataclasses.replace(plain, source=known))]
    labels = [model.segment(image) for model in models]
    np.testing.assert_array_equal(*labels)
    assert labels[0].max() == 1
    encoded = [len(model.networks.images) for model in models]
    assert encoded[0] > encoded[1] == 1
    assert OUTSIDE[0] < plain.ais.foreground_threshold
