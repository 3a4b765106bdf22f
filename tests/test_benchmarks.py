"""What benchmarks take from inside of samzoo is still there; they themselves are not run here."""

import runpy
from pathlib import Path

import numpy as np

from samzoo.runtime.engine.sessions import OnnxNetworks
from samzoo.zoo import load

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_the_steps_that_the_cold_start_times_exist():
    script = runpy.run_path(str(BENCHMARKS / "cold_start.py"))
    for place, name, _ in script["STEPS"]:
        assert callable(getattr(script["locate"](place), name))


def test_maps_of_equal_tiles_are_computed_once_and_are_the_same(toy_package, tmp_path, monkeypatch):
    image = np.tile(np.random.default_rng(0).integers(0, 256, (48, 48)).astype(np.uint8), (5, 5))
    model = load(str(toy_package))
    expected = model.ais_maps(model.embed_tiles(image, tile_shape=(48, 48), halo=(4, 4)))
    for name in ("encode", "decode_ais"):
        monkeypatch.setattr(OnnxNetworks, name, getattr(OnnxNetworks, name))
    runpy.run_path(str(BENCHMARKS / "equal_tiles.py"))["keep_maps"](tmp_path)
    for _ in range(2):
        found = model.ais_maps(model.embed_tiles(image, tile_shape=(48, 48), halo=(4, 4)))
        np.testing.assert_array_equal(found, expected)
    assert len([*tmp_path.glob("*.npy")]) == 9
