"""The controls find discs, part those that touch, and tell bright from dark."""

import sys

import numpy as np
import pytest
from conftest import draw_discs

from samzoo.runtime.errors import MissingDependencyError
from samzoo.runtime.evaluation.matching import match_objects
from samzoo.runtime.evaluation.tasks import CONTROLS
from samzoo.zoo.review.controls import classical_controls

pytest.importorskip("skimage", reason="the controls are scikit-image's")
TOUCHING = [(30, 30), (30, 50), (60, 100)]


@pytest.fixture
def image():
    noise = np.random.default_rng(0).normal(0, 4, (100, 150))
    return (draw_discs((100, 150), TOUCHING, radius=10, high=120) + 40 + noise).astype(np.float32)


def test_their_names_are_those_of_the_table_of_tasks():
    assert list(classical_controls(min_size=20)) == [n for n, t in CONTROLS.items() if t == "ais"]


@pytest.mark.parametrize(
    "look",
    [
        lambda image: image,
        lambda image: 255 - image,
        lambda image: np.stack([image] * 3, axis=2).astype(np.uint8),
        lambda image: (image * 257).astype(np.uint16),
    ],
    ids=["bright", "dark", "colour", "16 bit"],
)
def test_components_join_what_touches_and_watersheds_part_it(image, look):
    truth = np.zeros((100, 150), np.int32)
    for number, center in enumerate(TOUCHING, start=1):
        truth[draw_discs((100, 150), [center], radius=10) > 0] = number
    for name, control in classical_controls(min_size=20).items():
        found = control(look(image))
        assert found.dtype == np.int32
        assert found.max() == (2 if name == "otsu" else 3), name
        assert match_objects(found, truth).tp[4] == (1 if name == "otsu" else 3), name


def test_small_objects_are_dropped_and_an_even_image_holds_none(image):
    for control in classical_controls(min_size=5000).values():
        assert not control(image).any()
        assert not control(np.full((20, 30), 7, np.uint8)).any()


def test_without_scikit_image_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingDependencyError, match="evaluate"):
        classical_controls(min_size=20)
