"""Wrong kind of image: a sentence for each kind, and none for the images that the model knows."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime import read_image
from samzoo.runtime.automatic.doubts import (
    Known,
    describe_training,
    image_doubts,
    known_of,
    label_doubts,
    mask_doubts,
    score_doubts,
)
from samzoo.zoo import DEFAULT_MODEL, shipped

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.fixture(scope="module")
def config():
    """The shipped model's: trained on grey images, dark, with objects of 34.4 model pixels."""
    listed = next(each for each in shipped() if each.name == DEFAULT_MODEL)
    return listed.manifest.model


@pytest.fixture(scope="module")
def nuclei():
    return read_image(EXAMPLES / "nuclei.tif")


def untold(config):
    """The same model, without a word on what it was trained on."""
    return dataclasses.replace(config, source={})


def discs(radius, *, count=4, side=200):
    """Labels of discs in a row or more."""
    labels = np.zeros((side, side), np.int32)
    rows, columns = np.mgrid[:side, :side]
    step = side // count
    for number in range(count):
        centre = step // 2 + number * step
        labels[(rows - centre) ** 2 + (columns - centre) ** 2 < radius**2] = number + 1
    return labels


def test_the_shipped_model_says_what_it_was_trained_on(config):
    assert known_of(config) == Known(background="dark", colour=False, object_diameter=34.4)
    images = [read_image(path) for path in sorted((EXAMPLES / "train/images").iterdir())]
    record = describe_training(images, object_diameter=22.93 * 1.5)
    assert record == {"background": "dark", "colour": False, "object_diameter": 34.4}


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_images_as_in_training_raise_no_doubt(config, part):
    for path in (EXAMPLES / part / "images").iterdir():
        assert image_doubts(read_image(path), config) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_bright_background_is_told_for_every_dtype(config, nuclei, dtype):
    inverted = (255 - nuclei).astype(dtype)
    (doubt,) = image_doubts(inverted, config)
    assert doubt.startswith("the background is bright, and the model was trained on objects on a")
    assert image_doubts(inverted, untold(config)) == []


def test_a_dark_background_is_told_to_a_model_of_bright_ones(config, nuclei):
    record = describe_training([255 - nuclei], object_diameter=0)
    assert record["background"] == "bright"
    source = {"training": {"images": record}}
    (doubt,) = image_doubts(nuclei, dataclasses.replace(config, source=source))
    assert doubt.startswith("the background is dark, and the model was trained on objects on a br")


def test_training_on_both_backgrounds_leaves_the_background_open(nuclei):
    record = describe_training([nuclei, 255 - nuclei], object_diameter=20)
    assert record == {"background": None, "colour": False, "object_diameter": 20.0}
    assert json.loads(json.dumps(record)) == record


def test_colours_are_told_to_a_model_of_grey_images(config, nuclei):
    pink = np.stack([nuclei, nuclei // 4, nuclei // 2], axis=2)
    (doubt,) = image_doubts(pink, config)
    assert doubt.startswith("the image has colours, and the model was trained on grey images")
    assert describe_training([pink], object_diameter=0)["colour"] is True


def test_grey_in_three_channels_and_a_single_full_channel_have_no_colours(config, nuclei):
    assert image_doubts(np.stack([nuclei] * 3, axis=2), config) == []
    blue = np.zeros((*nuclei.shape, 3), np.uint8)
    blue[..., 2] = nuclei
    assert image_doubts(blue, config) == []


@pytest.mark.parametrize(
    ("dtype", "top", "told"),
    [(np.uint8, 255, True), (np.uint16, 4095, True), (np.uint16, 65535, True),
     (np.uint16, 3000, False), (np.uint8, 200, False), (np.float32, 1.0, False)],
)  # fmt: skip
def test_saturation_is_many_pixels_at_a_cameras_highest_value(config, dtype, top, told):
    image = (np.random.default_rng(0).random((100, 100)) * top / 8).astype(dtype)
    image[:20, :20] = top  # 4 % of the pixels
    doubts = image_doubts(image, config)
    assert [doubt.startswith("4% of the pixels have the value") for doubt in doubts] == [
        True
    ] * told
    image[:20, 10:20] = 0  # 2 %
    assert image_doubts(image, config) == []


def test_a_constant_image_shows_nothing(config):
    (doubt,) = image_doubts(np.full((9, 9), 7, np.uint8), config)
    assert doubt == "all pixels of the image have the value 7, so it shows nothing"


def test_no_object_is_told_with_what_the_model_saw(config):
    labels = np.zeros((50, 50), np.int32)
    assert label_doubts(labels, config)[0].startswith("no object was found; look at the image")
    foreground = np.zeros((50, 50), np.float32)
    foreground[:10] = 0.9
    (doubt,) = label_doubts(labels, config, foreground=foreground)
    assert doubt.startswith("no object was found, though the model takes 20% of the image for")


def test_foreground_that_became_no_object_is_told(config):
    labels = discs(11.5)
    foreground = np.where(labels > 0, 0.9, 0.0).astype(np.float32)
    assert label_doubts(labels, config, foreground=foreground) == []
    foreground[100:, :100] = 0.9
    (doubt,) = label_doubts(labels, config, foreground=foreground)
    assert "but could divide only 14% of that into objects" in doubt


@pytest.mark.parametrize(("radius", "told"), [(4, True), (7, False), (22, False), (24, True)])
def test_objects_of_another_size_are_told(config, radius, told):
    """Trained at 34.4 / 1.5 = 23 pixels: half of that is 11.5, twice is 46."""
    doubts = label_doubts(discs(radius), config)
    assert len(doubts) == told
    assert all("was trained on objects of about 23 pixels" in doubt for doubt in doubts)
    assert label_doubts(discs(radius), untold(config)) == []


def test_masks_that_the_model_does_not_trust_are_named():
    assert score_doubts(np.array([0.5, 0.9], np.float32)) == []
    (doubt,) = score_doubts(np.array([0.9, 0.31, 0.2], np.float32))
    assert "(predicted IoU below 0.5; object 2: 0.31, object 3: 0.20)" in doubt
    (doubt,) = score_doubts(np.zeros(7, np.float32))
    assert doubt.count("object ") == 5
    assert "and 2 more" in doubt


def test_python_callers_get_the_doubts_of_a_model(config, nuclei):
    from samzoo.zoo import load

    notes: list[str] = []
    load().segment(255 - nuclei[:96, :96], notes=notes)
    assert notes[0].startswith("the background is bright")


def test_masks_without_a_pixel_are_named():
    assert mask_doubts([5, 0, 3, 0]) == [
        "no pixel belongs to object 2, 4; prompt it in another way"
    ]
    assert mask_doubts([1]) == mask_doubts([]) == []
    assert "5 and 2 more" in mask_doubts([0] * 7)[0]
