"""The thresholds of a run: which images are searched, and at which placements."""

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import AisParameters, Preprocessing
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import Annotated
from samzoo.training.data.targets import distance_targets
from samzoo.training.fit import ais_search
from samzoo.training.fit.ais_search import searched

CONFIG = TrainConfig(min_object_size=5, ais=AisParameters(min_size=3))


class PerfectModel:
    """Knows the maps of an image, whatever is cut off; its field is 96 pixels."""

    field = 96

    def __init__(self, annotated, scale):
        self._labels = annotated.labels
        self.config = SimpleNamespace(preprocessing=Preprocessing(scale=scale))

    def embed_tiles(self, image):
        return image

    def ais_maps(self, image):
        height, width = image.shape[:2]
        return distance_targets(self._labels)[:, -height:, -width:]


@pytest.fixture
def calls(monkeypatch):
    """What the search was given."""
    found = []

    def search(maps, truths, start, **others):
        found.append(SimpleNamespace(maps=maps, truths=truths, start=start, **others))
        return start, 0.5

    monkeypatch.setattr(ais_search, "search_thresholds", search)
    return found


def run(images, tmp_path, *, scales=None, scale=None, **changes):
    stages = []
    scales = scales or {}
    perfect: Any = PerfectModel
    answer = searched(
        lambda a: perfect(a, scales.get(a.name)),
        images,
        dataclasses.replace(CONFIG, **changes),
        scale=scale,
        folder=tmp_path,
        progress=lambda *call: stages.append(call),
    )
    return answer, stages


def annotated(seed, shape=(60, 80), name=""):
    image, labels = tiny.make_cells(shape, seed)
    return Annotated(image, labels, name or f"{seed}")


def test_the_coarse_pass_takes_the_whole_image_of_each(calls, tmp_path):
    images = [annotated(0), annotated(1, (60, 200)), annotated(2)]
    answer, stages = run(images, tmp_path)
    (given,) = calls
    assert answer == (CONFIG.ais, 0.5)
    assert given.start == CONFIG.ais
    assert stages == [("AIS maps", i, 3) for i in (1, 2, 3)]
    assert len(given.maps) == len(given.truths) == 1 + 4 + 1
    assert given.coarse == [0, 1, 5]
    for index, a in zip(given.coarse, images, strict=True):
        np.testing.assert_array_equal(given.truths[index], a.labels)
    assert given.factors == [1.0] * 6


def test_images_that_validate_after_an_epoch_are_searched(calls, tmp_path):
    run([annotated(seed) for seed in range(5)], tmp_path, validation_images=2)
    assert len(calls[0].maps) == 2


def test_thresholds_in_pixels_follow_the_scale_of_each_image(calls, tmp_path):
    images = [annotated(0, name="a"), annotated(1, name="b")]
    run(images, tmp_path, scales={"a": 0.5, "b": 2.0}, scale=1.0)
    assert calls[0].factors == [2.0, 0.5]


def test_perfect_maps_give_perfect_thresholds(tmp_path):
    (found, score), stages = run([annotated(0), annotated(1)], tmp_path)
    assert score > 0.9
    assert found.min_size >= CONFIG.ais.min_size
    assert stages[-1][0] == "thresholds"
