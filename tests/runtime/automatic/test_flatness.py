"""A tile is flat only where noise is all that it shows, and only for models of dark backgrounds."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.automatic.flatness import is_flat
from samzoo.zoo import DEFAULT_MODEL, shipped


@pytest.fixture(scope="module")
def config():
    listed = next(each for each in shipped() if each.name == DEFAULT_MODEL)
    return listed.manifest.model


def tile(rng, *, noise=0.0, height=0.0):
    """A soft disc of 20 pixels on a noisy background, in 0..255."""
    rows, columns = np.mgrid[:170, :170]
    disc = 1 / (1 + np.exp(np.hypot(rows - 80, columns - 60) - 10))
    values = 10 + rng.normal(0, 1, (170, 170)) * noise * 255 + height * 255 * disc
    return np.repeat(values.clip(0, 255).astype(np.float32)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("noise", "height", "flat"),
    [(0, 0, True), (0.02, 0, True), (0, 0.06, False), (0.02, 0.08, False), (0.3, 0, False)],
)
def test_noise_is_flat_and_a_faint_object_is_not(config, rng, noise, height, flat):
    assert is_flat(tile(rng, noise=noise, height=height), config) == flat


@pytest.mark.parametrize("record", [
    {}, {"background": None, "colour": False}, {"background": "bright", "colour": False},
    {"background": "dark", "colour": True},
])  # fmt: skip
def test_other_models_see_every_tile(config, rng, record):
    other = dataclasses.replace(config, source={"training": {"images": record}})
    assert is_flat(tile(rng), config)
    assert not is_flat(tile(rng), other)


def test_models_that_do_not_stretch_between_percentiles_see_every_tile(config, rng):
    changed = dataclasses.replace(config.preprocessing, intensity="min_max")
    assert not is_flat(tile(rng), dataclasses.replace(config, preprocessing=changed))


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 9, 3), (5, 3, 3)])
def test_the_smallest_windows_can_be_looked_at(config, shape):
    assert is_flat(np.zeros(shape, np.float32), config)
