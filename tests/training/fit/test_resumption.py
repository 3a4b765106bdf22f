"""What a run that goes on may change, and how what it may not is named."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from samzoo.runtime.errors import InputError

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.data.annotated import Annotated  # noqa: E402
from samzoo.training.fit.resumption import images_used, refuse_changes  # noqa: E402

PATH = Path("run/last.safetensors")


def annotated(name, value=0):
    return Annotated(np.full((4, 4), value, np.uint8), np.eye(4, dtype=np.int32), name)


def settings(train=("a", "b"), val=("c",), **config):
    images = images_used([annotated(n) for n in train], [annotated(n) for n in val])
    config = {"seed": 0, "epochs": 4, "learning_rate": 0.1, **config}
    return {"method": "lora", "data_digest": str(images), "images": images, "config": config}


def refusal(ours, theirs):
    with pytest.raises(InputError) as caught:
        refuse_changes(PATH, ours, theirs)
    return str(caught.value)


def test_equal_runs_and_other_ends_are_accepted():
    refuse_changes(PATH, settings(), settings())
    refuse_changes(PATH, settings(epochs=9, max_minutes=3.0, early_stopping=2),
                   settings(max_minutes=0.0, early_stopping=0))  # fmt: skip


def test_each_key_that_differs_is_named_with_both_values():
    message = refusal(settings(seed=1, learning_rate=0.2), settings())
    assert "run/last.safetensors: this run was started with something else" in message
    assert "learning_rate: now 0.2, then 0.1; seed: now 1, then 0" in message
    assert "what may change: epochs, max_minutes, early_stopping" in message
    assert "method: now 'full', then 'lora'" in refusal(
        {**settings(), "method": "full"}, settings()
    )


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        (settings(train=("a", "b", "x")), "the training image x is new"),
        (settings(train=("a",)), "the training image b is missing"),
        (settings(val=("d",)), "the validation image d is new; the validation image c is missing"),
        (settings(train=("b", "a")), "the training images have another order or number"),
        (settings(train=("a", "b", "b")), "the training images have another order or number"),
    ],
)
def test_images_that_differ_are_named(ours, expected):
    message = refusal(ours, settings())
    assert expected in message
    assert "data_digest" not in message
    assert ("validation" in message) == ("validation" in expected)


@pytest.mark.parametrize("field", ["image", "labels"])
def test_an_image_whose_pixels_or_labels_changed_is_named(field):
    changed = annotated("b")
    getattr(changed, field)[0, 0] += 1
    theirs = settings()
    ours = {**theirs, "images": images_used([annotated("a"), changed], [annotated("c")])}
    message = refusal(ours, theirs)
    assert "the training image b, or its labels, changed" in message
    assert "image a" not in message


def test_an_image_whose_group_or_weight_changed_is_named():
    images = [annotated("a"), annotated("b")]
    theirs = {**settings(), "images": images_used(images, [])}
    for change in ({"group": "f"}, {"weight": 2.0}):
        moved = [images[0], dataclasses.replace(images[1], **change)]
        ours = {**theirs, "images": images_used(moved, [])}
        for now, before in ((ours, theirs), (theirs, ours)):
            message = refusal(now, before)
            assert "else: the group or weight of the training image b changed." in message


def test_many_differences_are_counted():
    message = refusal(settings(train=[f"n{i}" for i in range(9)]), settings())
    assert "and 6 more" in message


def test_a_checkpoint_that_holds_less_is_compared_in_what_it_holds():
    theirs = {"method": "lora", "config": {"seed": 0}, "data_digest": "x"}
    assert "data_digest: now" in refusal(settings(), theirs)
    refuse_changes(PATH, {**settings(), "data_digest": "x"}, theirs)
