"""Which scale an image is seen at: given, estimated, or the model's own."""

import dataclasses

import numpy as np
import pytest

from samzoo.runtime.automatic.sizing import scale_of_array
from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.runtime.errors import InputError
from samzoo.runtime.model import Model


@pytest.fixture
def config(toy_config):
    return toy_config(object_diameter=12.0)


@pytest.fixture
def image(discs):
    return discs((200, 200), [(y, x) for y in range(30, 190, 45) for x in range(30, 190, 45)], 10.0)


def test_the_scale_says_where_it_comes_from(config, toy_networks, image):
    def found(diameter):
        return scale_of_array(toy_networks, config, image, diameter)

    assert found(24) == ObjectScale(24.0, 0.5, "given")
    assert found("own") == found(None) == ObjectScale(12.0, 1.0, "own")
    estimate = found("auto")
    assert estimate.origin == "estimated"
    assert estimate.diameter == pytest.approx(20, rel=0.1)
    assert estimate.scale == pytest.approx(12 / estimate.diameter)
    assert (found("own").changed, estimate.changed) == (None, estimate.diameter)


def test_a_model_that_is_not_sure_says_so(config, toy_networks):
    for image in (np.zeros((80, 80), np.uint8), np.eye(80, dtype=np.uint8)):
        found = scale_of_array(toy_networks, config, image, "auto")
        assert (found.diameter, found.scale, found.origin) == (12.0, 1.0, "own")
        assert "could not be estimated" in found.doubt
        assert "12 pixels: say how large they are" in found.doubt


def test_what_cannot_be_used_is_refused(config, toy_config, toy_networks, image):
    with pytest.raises(InputError, match="diameter: found 'large', expected a number of pixels"):
        scale_of_array(toy_networks, config, image, "large")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="diameter: found auto, but this model does not say"):
        scale_of_array(toy_networks, toy_config(), image, "auto")
    blind = toy_config(object_diameter=12.0, ais=False)
    with pytest.raises(InputError, match="no AIS decoder"):
        scale_of_array(toy_networks, blind, image, "auto")


def test_an_empty_channel_changes_nothing(config, toy_networks, image):
    red = np.zeros((*image.shape, 3), np.uint8)
    red[..., 0] = image
    assert scale_of_array(toy_networks, config, red, "auto") == scale_of_array(
        toy_networks, config, image, "auto"
    )


def test_segment_and_embed_take_the_estimate(config, toy_networks, image):
    model = Model(config, toy_networks)
    scale = model.object_scale(image)
    expected = model.segment(image, diameter=scale.diameter)
    np.testing.assert_array_equal(model.segment(image, diameter="auto"), expected)
    np.testing.assert_array_equal(model.for_objects(scale.changed).segment(image), expected)
    assert model.embed(image, diameter="auto").scale == scale.scale
    assert model.embed_tiles(image, diameter="auto").scale == scale.scale
    assert model.segment(image).any()
    notes: list[str] = []
    model.segment(np.eye(80, dtype=np.uint8), diameter="auto", notes=notes)
    assert any("could not be estimated" in note for note in notes)


def test_own_thresholds_follow_the_estimate(config, toy_networks, image):
    """``min_size`` of the model is in pixels of an image at its own scale."""
    large = dataclasses.replace(config, ais=dataclasses.replace(config.ais, min_size=150))
    model = Model(large, toy_networks)
    assert model.segment(image).max() == 16
    assert model.segment(image, diameter="auto").max() == 0  # 150 * (20 / 12) ** 2 > 314
