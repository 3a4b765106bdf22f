"""The objects' diameter from the image: a toy whose maps show objects of a range of sizes only."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.automatic.interest import ArrayPixels
from samzoo.runtime.automatic.size_estimate import SMALLEST, estimate_diameter
from samzoo.runtime.images.intensity import Stretch

TRAINED = 12.0


@pytest.fixture
def config(toy_config):
    config = toy_config(scale=1.0)
    sized = dataclasses.replace(config.preprocessing, object_diameter=TRAINED)
    return dataclasses.replace(config, preprocessing=sized)


@pytest.fixture
def blind(toy_networks):
    """Networks that see objects smaller than half the trained size as foreground without seeds."""

    class Blind:
        def encode(self, image):
            return toy_networks.encode(image)

        def decode_ais(self, image_embeddings):
            maps = toy_networks.decode_ais(image_embeddings).copy()
            mask = maps[0, 0] > 0.5
            core, steps = mask, int(TRAINED / 4)
            for _ in range(steps):  # seeds lie deep inside
                padded = np.pad(core, 1)
                core = (padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2]
                        & padded[1:-1, 2:] & core)  # fmt: skip
            maps[0, 1:] = np.where(core, 0, 1)
            return maps

    return Blind()


def grid(draw, side, diameter, gap=1.8):
    places = np.arange(diameter, side - diameter, gap * diameter)
    centers = [(y, x) for y in places for x in places]
    return draw((side, side), centers, radius=diameter / 2)


@pytest.mark.parametrize("diameter", [6, 9, 13, 20, 33, 60])
def test_the_diameter_is_found_from_half_to_five_times_the_own(config, blind, discs, diameter):
    image = grid(discs, 300, diameter)
    found = estimate_diameter(blind, config, ArrayPixels(image), limits=Stretch(0, 255))
    assert found.diameter == pytest.approx(diameter, rel=0.1)
    assert found.objects >= 3


def test_the_same_image_larger_has_the_estimate_larger(config, blind, discs):
    once = grid(discs, 150, 11)
    twice = np.kron(once, np.ones((2, 2), np.uint8))
    small, large = (
        estimate_diameter(blind, config, ArrayPixels(image), limits=Stretch(0, 255)).diameter or 0.0
        for image in (once, twice)
    )
    assert small > 0
    assert large == pytest.approx(2 * small, rel=0.1)


def test_specks_do_not_count(config, blind, discs, rng):
    image = grid(discs, 200, 20)
    specks = rng.integers(0, 200, (60, 2))
    image[tuple(specks.T)] = 255
    found = estimate_diameter(blind, config, ArrayPixels(image), limits=Stretch(0, 255))
    assert found.diameter == pytest.approx(20, rel=0.1)
    assert SMALLEST * TRAINED > 1


def test_objects_cut_off_by_a_window_do_not_count(config, blind, discs):
    """In a window of 64 model pixels most of these discs are cut off."""
    image = grid(discs, 400, 14, gap=1.3)
    found = estimate_diameter(blind, config, ArrayPixels(image), limits=Stretch(0, 255))
    assert found.diameter == pytest.approx(14, rel=0.1)


@pytest.mark.parametrize("kind", ["one object", "two objects", "ramp"])
def test_it_is_not_sure_where_there_is_no_median(config, blind, discs, kind):
    image = discs((150, 150), [(40, 40), (100, 100)][: 1 if "one" in kind else 2], radius=6)
    if kind == "ramp":
        image = np.linspace(0, 100, 150 * 150).reshape(150, 150).astype(np.uint8)
    found = estimate_diameter(blind, config, ArrayPixels(image), limits=Stretch(0, 255))
    assert found.diameter is None


def test_progress_counts_the_tiles(config, blind, discs):
    seen = []
    image = ArrayPixels(grid(discs, 200, 20))
    found = estimate_diameter(
        blind, config, image, limits=Stretch(0, 255), progress=lambda *each: seen.append(each)
    )
    assert seen == [("size", n + 1, 0) for n in range(found.tiles)]
