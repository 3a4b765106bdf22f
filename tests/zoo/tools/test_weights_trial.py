"""A trial of weights, against segment-anything's own predictor with the written file."""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.zoo.checkpoints.tools.differences import MICRO_SAM, SEGMENT_ANYTHING
from samzoo.zoo.tools.examples import example_image, example_points

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.onnx]


def predicted(sam, path, image, points):
    """What a user of segment-anything sees: the best of three masks for each point."""
    from segment_anything import SamPredictor

    original = tiny.make_original(sam)
    original.load_state_dict(torch.load(path, weights_only=True))
    predictor = SamPredictor(original)
    predictor.set_image(np.repeat(image[..., None], 3, axis=2))
    masks = []
    for point in points:
        found, iou, _ = predictor.predict(point[None], np.ones(1), multimask_output=True)
        masks.append(found[int(np.argmax(iou))])
    return np.stack(masks)


def test_its_masks_are_those_of_segment_anything(exported):
    from samzoo.zoo.tools.weights_trial import WeightsTrial

    image, points = example_image((192, 256), low_contrast=True), example_points((192, 256))
    folder = exported.folder / "segment-anything"
    trial = WeightsTrial(folder, exported.sam.config, SEGMENT_ANYTHING)
    found = trial.masks(image, points)
    plain = dataclasses.replace(exported.sam.config.preprocessing, intensity="none")
    sam = tiny.make_sam(dataclasses.replace(exported.sam.config, preprocessing=plain))
    expected = predicted(sam, folder / "cells.pth", image, points)
    assert 0 < expected.mean() < 1
    assert (found != expected).mean() < 1e-3


def test_micro_sam_stretches_low_contrast_itself(exported):
    from samzoo.zoo.tools.weights_trial import WeightsTrial

    folder, points = exported.folder / "segment-anything", example_points((192, 256))
    trial = WeightsTrial(folder, exported.sam.config, MICRO_SAM)
    full, low = (
        trial.masks(example_image((192, 256), low_contrast=low), points) for low in (False, True)
    )
    assert (full != low).mean() < 0.05


def test_trials_share_answers_only_if_the_tool_does_the_same(exported):
    from samzoo.zoo.checkpoints.tools.differences import HUGGINGFACE
    from samzoo.zoo.tools.weights_trial import WeightsTrial

    keys = {
        path.name: WeightsTrial(exported.folder / folder, exported.sam.config, path).key
        for path, folder in (
            (SEGMENT_ANYTHING, "segment-anything"),
            (HUGGINGFACE, "huggingface"),
            (MICRO_SAM, "segment-anything"),
        )
    }
    assert keys["segment-anything"] == keys["huggingface"] != keys["micro-sam"]
