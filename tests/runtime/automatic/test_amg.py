"""AMG, through the runtime, against segment-anything's own generator on the same weights."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.automatic.amg import AmgParameters
from samzoo.runtime.errors import InputError
from samzoo.runtime.model import Model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-5
"""Of predicted IoUs, which are sums in another order."""

STABILITY_TOLERANCE = 1e-3
"""A pixel more or less at a threshold changes the stability of a mask of a thousand pixels so."""

VARIATIONS: dict[str, dict[str, Any]] = {
    "nothing dropped": {},
    "the default suppression": {"box_nms_thresh": 0.7},
    "stable": {"stability_score_offset": 0.02, "stability_score_thresh": 0.6},
    "better than the median": {"pred_iou_thresh": "median", "box_nms_thresh": 0.9},
}

EVERYTHING: dict[str, Any] = {
    "points_per_side": 6,
    "pred_iou_thresh": -10.0,
    "stability_score_thresh": 0.0,
    "box_nms_thresh": 1.0,
}
"""Predicted IoUs and stabilities of random weights are low."""


@pytest.fixture(scope="module")
def sam():
    """Random weights whose masks are specks: those of others all fill the image."""
    sam = tiny.make_sam()
    with torch.no_grad():
        for network in sam.mask_decoder.output_hypernetworks_mlps:
            network.layers[-1].bias -= 0.5
    return sam


@pytest.fixture(scope="module")
def model(sam):
    from samzoo.training.networks.graphs import TorchNetworks

    return Model(sam.config, TorchNetworks(sam))


@pytest.mark.parametrize("changes", VARIATIONS.values(), ids=VARIATIONS)
@pytest.mark.parametrize("size", [(64, 64), (90, 61), (30, 45)])
def test_masks_equal_those_of_segment_anything(sam, model, changes, size):
    from segment_anything import SamAutomaticMaskGenerator

    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    embeddings = model.embed(image)
    if changes.get("pred_iou_thresh") == "median":
        found = model.generate_masks(embeddings, parameters=AmgParameters(**EVERYTHING))
        changes = {"pred_iou_thresh": float(np.median([one.predicted_iou for one in found])) + 1e-4}
    changes = {**EVERYTHING, **changes}
    generator = SamAutomaticMaskGenerator(tiny.make_original(sam), **changes)
    # Ours leaves out masks without a pixel.
    expected = [one for one in generator.generate(image) if one["area"]]
    told = []
    found = model.generate_masks(
        embeddings,
        parameters=AmgParameters(**changes),
        progress=lambda *arguments: told.append(arguments),
    )
    assert len(found) == len(expected) > 1
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours.full(size), theirs["segmentation"])
        x, y, width, height = theirs["bbox"]
        assert ours.box == (x, y, x + width, y + height)
        assert ours.area == theirs["area"]
        assert ours.predicted_iou == pytest.approx(theirs["predicted_iou"], abs=TOLERANCE)
        assert ours.stability_score == pytest.approx(
            theirs["stability_score"], abs=STABILITY_TOLERANCE
        )
        np.testing.assert_allclose(ours.point, theirs["point_coords"][0], rtol=1e-6)
    assert told[-1] == ("prompt", 36, 36)


def test_a_model_without_ais_decoder_segments_with_a_grid(sam):
    from samzoo.training.networks.graphs import TorchNetworks

    architecture = dataclasses.replace(sam.config.architecture, ais_decoder=None)
    model = Model(dataclasses.replace(sam.config, architecture=architecture), TorchNetworks(sam))
    image = np.random.default_rng(0).integers(0, 256, (50, 64), dtype=np.uint8)
    parameters = AmgParameters(**EVERYTHING)
    labels = model.segment(image, mode="amg", parameters=parameters)
    assert labels.shape == (50, 64)
    assert labels.max() > 1
    with pytest.raises(InputError, match="no AIS decoder, which the modes ais and apg need"):
        model.segment(image, mode="apg")


def test_apg_segments_with_the_single_mask_output_of_points(sam, model):
    """Against segment-anything's predictor: a mask of each seed, all of which are kept."""
    from segment_anything import SamPredictor

    from samzoo.runtime.automatic.apg import ApgParameters, seed_points

    image = np.random.default_rng(0).integers(0, 256, (64, 50, 3), dtype=np.uint8)
    embeddings = model.embed_tiles(image)
    middle = np.median(model.ais_maps(embeddings), axis=(1, 2))
    parameters = ApgParameters(
        foreground_threshold=float(middle[0]),
        center_distance_threshold=float(middle[1]),
        boundary_distance_threshold=float(middle[2]),
        min_size=0,
        nms_threshold=1.0,
    )
    points = seed_points(*model.ais_maps(embeddings), parameters=parameters)
    assert len(points) > 1
    predictor = SamPredictor(tiny.make_original(sam))
    predictor.set_image(image)
    masks = [
        predictor.predict(point[None], np.array([1]), multimask_output=False)[0][0]
        for point in points.astype(np.float64)
    ]
    labels = model.segment(image, mode="apg", parameters=parameters)
    np.testing.assert_array_equal(labels > 0, np.any(masks, axis=0))
