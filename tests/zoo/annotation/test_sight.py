"""What a model sees: answers equal those of the model itself, and the encoder runs once."""

import dataclasses

import numpy as np
import pytest
import tifffile

from samzoo.runtime import load
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import AisParameters
from samzoo.zoo.annotation.sight import Sight, checked_thresholds


@pytest.fixture
def model(toy_package):
    return load(toy_package)


@pytest.fixture
def pixels(images):
    return tifffile.imread(images / "a.tif")


@pytest.fixture
def see(model, pixels, tmp_path):
    def see(image=pixels, progress=lambda *_: None, diameter=None):
        return Sight(model, image, tmp_path / "store", diameter=diameter, progress=progress)

    return see


def test_automatic_labels_are_those_of_the_model_also_with_other_thresholds(see, model, pixels):
    sight = see()
    np.testing.assert_array_equal(sight.automatic(), model.segment(pixels))
    assert sight.automatic().max() == 4
    given = {"foreground_threshold": 0.9, "min_size": 10}
    parameters = dataclasses.replace(sight.thresholds, **given)
    assert isinstance(parameters, AisParameters)
    np.testing.assert_array_equal(
        sight.automatic(given), model.segment(pixels, parameters=parameters)
    )


def test_the_encoder_runs_once_and_other_thresholds_run_no_network(see, model, monkeypatch):
    seen = []
    sight = see(progress=lambda *words: seen.append(words))
    tiles = len(sight.embeddings.tiles)
    assert seen[-1] == ("embed", tiles, tiles)
    sight.automatic()

    def refuse(*_, **__):
        raise AssertionError("a network ran again")

    monkeypatch.setattr(Networks, "encode", refuse, raising=False)
    monkeypatch.setattr(type(model.networks), "encode", refuse)
    monkeypatch.setattr(type(model.networks), "decode_ais", refuse)
    sight.automatic({"foreground_threshold": 0.2})
    np.testing.assert_array_equal(see().embeddings.values, sight.embeddings.values)


def test_prompts_are_answered_as_by_the_model(see, model, pixels):
    sight, embeddings = see(), model.embed_tiles(pixels)
    for ours, theirs in (
        ({"points": [(20, 15)], "point_labels": [1]},
         {"points": [(20, 15)], "point_labels": [1]}),
        ({"box": (10, 5, 30, 25)}, {"boxes": [10, 5, 30, 25]}),
        ({"points": [(20, 15), (1, 1)], "point_labels": [1, 0], "box": (10, 5, 30, 25)},
         {"points": [(20, 15), (1, 1)], "point_labels": [1, 0], "boxes": [10, 5, 30, 25]}),
    ):  # fmt: skip
        candidate = sight.prompt(**ours)
        masks, scores, _ = model.prompt(embeddings, **theirs)
        row, column, part = candidate.part
        np.testing.assert_array_equal(masks[0, row : row + part.shape[0],
                                            column : column + part.shape[1]], part)  # fmt: skip
        assert candidate.pixels == masks[0].sum() > 0
        assert candidate.score == pytest.approx(float(scores[0]))


def test_a_mask_prompts_with_its_box_and_itself(see, pixels):
    sight = see()
    rough = np.zeros(pixels.shape, bool)
    rough[8:24, 12:30] = True
    row, column, part = sight.prompt(mask=rough).part
    found = np.zeros(pixels.shape, bool)
    found[row : row + part.shape[0], column : column + part.shape[1]] = part
    assert found[15, 20]
    assert not found[40, 90]


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ({}, "no prompt"),
        ({"points": [(1, 1)] * 65, "point_labels": [1] * 65}, "found 65, allowed are 64"),
        ({"points": [(1, 1)], "point_labels": [2]}, "point_labels: allowed are 1"),
        ({"points": [(1, 1)], "point_labels": []}, "point_labels"),
        ({"points": [(500, 1)], "point_labels": [1]}, "outside"),
        ({"box": (30, 25, 10, 5)}, "box"),
        ({"mask": np.zeros((4, 4), bool)}, "mask: must have the image's size"),
        ({"mask": np.ones((120, 128), bool), "box": (1, 1, 5, 5)}, "box or the mask"),
    ],
)
def test_prompts_that_mean_nothing_are_told(see, prompt, message):
    with pytest.raises(InputError, match=message):
        see().prompt(**prompt)


@pytest.mark.parametrize(
    "given",
    [{"foreground_threshold": 1.5}, {"min_size": -1}, {"min_size": "3"}, {"smoothing": 1},
     {"center_distance_threshold": float("nan")}, {"boundary_distance_threshold": True}],
)  # fmt: skip
def test_thresholds_out_of_range_are_told(given):
    with pytest.raises(InputError, match=next(iter(given))):
        checked_thresholds(given)


def test_an_image_without_anything_has_no_automatic_labels(see):
    assert not see(np.full((50, 60), 7, np.uint8)).automatic().any()


def test_what_progress_raises_ends_the_work_and_the_next_start_goes_on(see):
    class Stop(Exception):
        pass

    def stop(stage, done, total):
        if done == 1:
            raise Stop

    with pytest.raises(Stop):
        see(progress=stop)
    assert see().automatic().max() == 4
