"""The sheet: a picture for the image and for each model, whatever names and shapes there are."""

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.zoo.suggestions.sheet import ACROSS, SIDE, write_sheet
from samzoo.zoo.suggestions.trials import Trial
from samzoo.zoo.suggestions.view import View

SCALE = ObjectScale(20.0, 1.0, "own")


def view_of(shape):
    return View(np.zeros(shape, np.uint8), (0, 0, *shape[:2]), (shape[0], shape[1]))


def draw(path, shape, trials):
    write_sheet(path, "image.tif", view_of(shape), trials)
    with Image.open(path) as picture:
        return np.array(picture)


@pytest.mark.parametrize("shape", [(1, 1), (30, 40, 3), (900, 300), (200, 4000)])
def test_it_draws_images_of_any_shape(tmp_path, shape):
    labels = np.ones(shape[:2], np.int32)
    picture = draw(tmp_path / "s.png", shape, [Trial(model="a", labels=labels, scale=SCALE)])
    assert 2 * SIDE < picture.shape[1] < 3 * SIDE


def test_objects_stand_beside_the_image_which_stays_as_it_is(tmp_path):
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[100:300, 100:300] = 1
    picture = draw(tmp_path / "s.png", (SIDE, SIDE), [Trial(model="a", labels=labels, scale=SCALE)])
    image, found = picture[16 : 16 + SIDE, 16 : 16 + SIDE], picture[16 : 16 + SIDE, 2 * 16 + SIDE :]
    assert not image.any()
    assert found[100:300, 100:300].any(axis=2).all()
    assert not found[310:SIDE, 310:SIDE].any()


def test_models_without_labels_and_long_hostile_texts_have_a_place(tmp_path):
    trials = [
        Trial(model="核\x1b" * 99, error="x " * 500, status=2),
        Trial(model="prompts"),
        Trial(model="c", labels=np.ones((9, 9), np.int32), scale=SCALE, notes=("doubt " * 200,)),
    ]
    one = draw(tmp_path / "one.png", (9, 9), trials[:1])
    three = draw(tmp_path / "three.png", (9, 9), trials)
    assert ACROSS == 3
    assert three.shape[0] > 1.9 * one.shape[0]
