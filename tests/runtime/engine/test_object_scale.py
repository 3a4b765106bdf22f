"""Objects of another size: the scale that a model sees them at, and what carries it."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime import EmbeddingStore, load
from samzoo.runtime.engine.object_scale import at_diameter, at_scale, trained_diameter
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import AisParameters
from samzoo.runtime.images.reading import read_image
from samzoo.runtime.loading import open_model
from samzoo.runtime.model import Model

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture
def sized_config(toy_config):
    """A toy model that was trained on objects of 12 model pixels."""
    config = toy_config(scale=1.0)
    return dataclasses.replace(
        config,
        preprocessing=dataclasses.replace(config.preprocessing, object_diameter=12.0),
        ais=AisParameters(foreground_smoothing=0.5, distance_smoothing=1.25, min_size=7),
    )


@pytest.fixture
def sized_model(sized_config, toy_networks):
    return Model(sized_config, toy_networks)


def discs(draw, side, radius):
    places = [side * (0.5 + i) / 4 for i in range(4)]
    return draw((side, side), [(y, x) for y in places for x in places], radius=radius)


@pytest.fixture
def draw():
    def draw_discs(shape, centers, radius):
        rows, columns = np.mgrid[: shape[0], : shape[1]]
        image = np.zeros(shape, np.uint8)
        for row, column in centers:
            image[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = 255
        return image

    return draw_discs


def test_what_a_config_declares_comes_before_the_record_of_its_training(sized_config):
    assert trained_diameter(sized_config) == 12.0
    record = {"training": {"images": {"object_diameter": 34.4}}}
    told = dataclasses.replace(sized_config, source=record)
    assert trained_diameter(told) == 12.0
    plain = dataclasses.replace(told.preprocessing, object_diameter=None)
    assert trained_diameter(dataclasses.replace(told, preprocessing=plain)) == 34.4


@pytest.mark.parametrize(
    "source",
    [{}, {"training": {}}, {"training": {"images": {"object_diameter": 0.0}}},
     {"training": {"images": {"object_diameter": "20"}}}, {"training": [1]}],
)  # fmt: skip
def test_a_model_that_does_not_say_its_size_takes_no_diameter(toy_config, source):
    config = dataclasses.replace(toy_config(), source=source)
    assert trained_diameter(config) is None
    with pytest.raises(InputError, match="does not say how large the objects were"):
        at_diameter(config, 20.0)
    assert at_diameter(config, None) is config


def test_scale_and_thresholds_in_pixels_follow_the_diameter(sized_config):
    found = at_diameter(sized_config, 24.0)
    assert found.preprocessing.scale == 0.5
    assert found.ais.foreground_smoothing == 1.0
    assert found.ais.distance_smoothing == 2.5
    assert found.ais.min_size == 28
    assert found.ais.foreground_threshold == sized_config.ais.foreground_threshold
    assert at_scale(found, 1.0) == sized_config


@pytest.mark.parametrize("diameter", [0.0, -3.0, float("nan"), float("inf"), 0.05, 1e6])
def test_diameters_out_of_range_are_refused(sized_config, diameter):
    with pytest.raises(InputError, match=r"^diameter: found"):
        at_diameter(sized_config, diameter)


def test_an_image_of_twice_the_size_gives_the_same_objects(sized_model, draw):
    """The toy model finds objects of any size: what is compared is where they lie."""
    small, large = discs(draw, 64, 6.0), discs(draw, 128, 12.0)
    expected = sized_model.segment(small)
    found = sized_model.segment(large, diameter=24.0)
    assert found.shape == (128, 128)
    assert found.max() == expected.max() == 16
    reduced = np.asarray(Image.fromarray(found).resize((64, 64), Image.Resampling.NEAREST))
    assert overlap(expected, reduced) > 0.8


def test_the_shipped_model_finds_objects_of_another_size():
    """At half the size, the model's own scale loses or joins many nuclei."""
    from samzoo.zoo import load as load_named

    model = load_named()
    image = read_image(EXAMPLES / "nuclei.tif")[:160, :160]
    expected = model.segment(image)
    half = np.asarray(Image.fromarray(image).resize((80, 80), Image.Resampling.BILINEAR))
    own, sized = model.segment(half), model.segment(half, diameter=22.9 / 2)
    truth = np.asarray(Image.fromarray(expected).resize((80, 80), Image.Resampling.NEAREST))
    assert overlap(truth, sized) > 0.75 > overlap(truth, own) + 0.2


def overlap(truth, found):
    """Mean over the true objects of the best IoU."""
    scores = []
    for label in np.unique(truth[truth > 0]):
        mask = truth == label
        others = np.unique(found[mask & (found > 0)])
        ious = [(mask & (found == n)).sum() / (mask | (found == n)).sum() for n in others]
        scores.append(max(ious, default=0.0))
    return float(np.mean(scores))


def test_embeddings_keep_their_scale(sized_model, draw, tmp_path):
    image = discs(draw, 128, 12.0)
    embeddings = sized_model.embed(image, diameter=24.0)
    assert embeddings.scale == 0.5
    embeddings.save(tmp_path / "e.safetensors")
    kept = type(embeddings).load(tmp_path / "e.safetensors")
    assert kept.scale == 0.5
    expected = sized_model.segment(image, diameter=24.0)
    np.testing.assert_array_equal(sized_model.segment(kept), expected)
    masks, _, _ = sized_model.prompt(kept, points=[[16, 16]], point_labels=[1])
    assert masks[0, 16, 16]
    assert (masks[0] & (image > 0)).sum() / (masks[0] | (labelled(image, 16, 16))).sum() > 0.9
    with pytest.raises(InputError, match="diameter: found 24"):
        sized_model.segment(kept, diameter=24.0)


def labelled(image, row, column):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    return (rows - row) ** 2 + (columns - column) ** 2 <= 144


def test_a_store_keeps_scales_apart(sized_model, draw, tmp_path):
    image = discs(draw, 128, 12.0)
    store = EmbeddingStore(tmp_path / "store")
    own = store.embed(sized_model, image)
    sized = store.embed(sized_model.for_objects(24.0), image)
    assert (own.scale, sized.scale) == (1.0, 0.5)
    assert len(own.tiles) > len(sized.tiles) == 1
    np.testing.assert_array_equal(
        sized_model.segment(sized), sized_model.segment(image, diameter=24.0)
    )


def test_another_process_opens_the_model_for_the_same_objects(toy_package, sized_config):
    from samzoo.runtime.formats.manifest import Manifest

    manifest = Manifest.read(toy_package)
    dataclasses.replace(manifest, model=sized_config).write(toy_package)
    model = load(toy_package).for_objects(24.0)
    assert model.spec is not None
    assert model.spec.diameter == 24.0
    assert open_model(model.spec).config == model.config
    assert load(toy_package).config == sized_config
