"""The graphs, through the runtime, against segment-anything's own ``SamPredictor``."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.model import Model

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-5
"""The graphs compute what segment-anything computes, several objects at a time."""

SIZES = {"square": (64, 64), "portrait": (90, 61), "landscape": (45, 101), "small": (20, 31)}


@pytest.fixture(scope="module")
def sam():
    return tiny.make_sam()


@pytest.fixture(scope="module")
def model(sam):
    from samzoo.training.networks.graphs import TorchNetworks

    return Model(sam.config, TorchNetworks(sam))


@pytest.fixture(scope="module")
def predictor(sam):
    from segment_anything import SamPredictor

    return SamPredictor(tiny.make_original(sam))


def random_image(size):
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


PROMPTS: dict[str, dict[str, Any]] = {
    "one point": {"points": [[11, 7]], "point_labels": [1]},
    "several points": {"points": [[11, 7], [28.5, 13.25], [3, 18]], "point_labels": [1, 0, 1]},
    "a background point": {"points": [[11, 7]], "point_labels": [0]},
    "box": {"boxes": [2, 3, 25, 17.5]},
    "box and points": {
        "points": [[11, 7], [3, 3]],
        "point_labels": [1, 0],
        "boxes": [2, 3, 25, 17.5],
    },
}


def predicted(predictor, *, multimask, points=None, point_labels=None, boxes=None, mask=None):
    """The predictor's one mask, or its best of three."""
    masks, iou, low = predictor.predict(
        point_coords=None if points is None else np.array(points, np.float64),
        point_labels=None if point_labels is None else np.array(point_labels),
        box=None if boxes is None else np.array(boxes, np.float64),
        mask_input=mask,
        multimask_output=multimask,
    )
    best = int(np.argmax(iou))
    return masks[best], iou[best], low[best]


def assert_same(found, expected):
    masks, iou, low = found
    np.testing.assert_allclose(low[0, 0], expected[2], rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_allclose(iou[0], expected[1], rtol=TOLERANCE, atol=TOLERANCE)
    np.testing.assert_array_equal(masks[0], expected[0])


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_masks_equal_those_of_segment_anything(model, predictor, size, prompt):
    image = random_image(size)
    predictor.set_image(image)
    single = len(prompt.get("points", [])) == 1 and "boxes" not in prompt
    expected = predicted(predictor, multimask=single, **prompt)
    assert 0 < expected[0].mean() < 1
    assert_same(model.prompt(model.embed(image), **prompt), expected)


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_a_mask_input_gives_the_masks_of_segment_anything(model, predictor, size):
    image = random_image(size)
    predictor.set_image(image)
    embeddings = model.embed(image)
    prompt = PROMPTS["box and points"]
    *_, low = model.prompt(embeddings, **prompt)
    expected = predicted(predictor, multimask=False, mask=low[0], **prompt)
    without = predicted(predictor, multimask=False, **prompt)
    assert not np.array_equal(expected[2], without[2])
    assert_same(model.prompt(embeddings, mask_input=low, **prompt), expected)


def test_embeddings_equal_those_of_segment_anything(model, predictor):
    for size in SIZES.values():
        image = random_image(size)
        predictor.set_image(image)
        np.testing.assert_array_equal(
            model.embed(image).values, predictor.get_image_embedding().numpy()
        )


def test_many_objects_in_one_call_equal_one_call_each(model):
    embeddings = model.embed(random_image((60, 64)))
    rng = np.random.default_rng(1)
    points = rng.uniform(0, 60, (11, 2, 2))
    labels = np.stack([np.ones(11), rng.integers(-1, 2, 11)], axis=1)
    corners = np.sort(rng.uniform(0, 60, (11, 2, 2)), axis=1).reshape(11, 4)
    for boxes in (None, corners):
        masks, iou, low = model.prompt(embeddings, points=points, point_labels=labels, boxes=boxes)
        for i in range(11):
            alone = model.prompt(
                embeddings,
                points=points[i],
                point_labels=labels[i],
                boxes=None if boxes is None else boxes[i],
            )
            assert_same(alone, (masks[i], iou[i], low[i, 0]))


@torch.no_grad()
def test_has_mask_input_of_minus_one_means_none(sam):
    from samzoo.training.networks.graphs import MaskDecoderGraph

    graph = MaskDecoderGraph(sam)
    arguments = (
        torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[[10.0, 20.0], [0.0, 0.0]]]),
        torch.tensor([[1.0, -1.0]]),
        torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(1)),
    )
    size = torch.tensor([50.0, 64.0])
    none, minus, one = (graph(*arguments, torch.tensor([has]), size) for has in (0.0, -1.0, 1.0))
    assert all(torch.equal(a, b) for a, b in zip(none, minus, strict=True))
    assert not torch.equal(none[2], one[2])


@torch.no_grad()
def test_padding_tokens_do_not_change_which_mask_is_chosen(sam):
    from samzoo.training.networks.graphs import MaskDecoderGraph

    iou = torch.tensor([[0.9, 0.1, 0.8, 0.2]]).expand(3, 4)
    labels = torch.tensor([[1, -1, -1, -1], [1, 0, -1, -1], [2, 3, -1, -1]])
    graph = MaskDecoderGraph(sam)
    for multimask, expected in ((0.0, [[2], [0], [0]]), (1.0, [[1, 2, 3]] * 3), (-1.0, [[0]] * 3)):
        wanted = graph._wanted_masks(iou, labels, torch.tensor([multimask]))
        assert [row.nonzero().flatten().tolist() for row in wanted] == expected


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_multimask_output_is_that_of_segment_anything(model, predictor, prompt):
    from samzoo.runtime.prompts.batches import decode
    from samzoo.runtime.prompts.tokens import collect_prompts

    image = random_image((50, 64))
    predictor.set_image(image)
    arguments = {"points": None, "point_labels": None, "boxes": None, "mask_input": None} | prompt
    prompts = collect_prompts(**arguments, image_size=(50, 64), mask_side=32)
    embeddings = model.embed(image)
    for multimask in (False, True):
        (found,) = decode(
            model.networks, model.config, embeddings, prompts, multimask_output=multimask
        )
        _, iou, low = predictor.predict(
            point_coords=None if "points" not in prompt else np.array(prompt["points"], np.float64),
            point_labels=np.array(prompt["point_labels"]) if "points" in prompt else None,
            box=np.array(prompt["boxes"], np.float64) if "boxes" in prompt else None,
            multimask_output=multimask,
        )
        assert len(iou) == (3 if multimask else 1)
        np.testing.assert_allclose(found.low_res[0], low, rtol=TOLERANCE, atol=TOLERANCE)
        np.testing.assert_allclose(found.iou[0], iou, rtol=TOLERANCE, atol=TOLERANCE)


def test_a_model_with_single_output_answers_a_point_with_the_first_mask(sam, predictor):
    from samzoo.training.networks.graphs import TorchNetworks

    decoder = dataclasses.replace(tiny.MASK_DECODER, point_output="single")
    architecture = dataclasses.replace(sam.config.architecture, mask_decoder=decoder)
    other = tiny.make_sam(dataclasses.replace(sam.config, architecture=architecture))
    model = Model(other.config, TorchNetworks(other))
    image = random_image((50, 64))
    predictor.set_image(image)
    prompt = PROMPTS["one point"]
    assert_same(
        model.prompt(model.embed(image), **prompt), predicted(predictor, multimask=False, **prompt)
    )


def test_a_declared_scale_crops_the_masks_by_that_scale(sam):
    """Twice the pixels at scale 1 give what the scaled model gives, up to the last resizing."""
    from samzoo.training.networks.graphs import MaskDecoderGraph

    scaled = tiny.make_sam(tiny.make_config(scale=2.0))
    arguments = (
        torch.randn(1, 256, 8, 8, generator=torch.Generator().manual_seed(0)),
        torch.tensor([[[10.0, 20.0], [30.0, 40.0]]]),
        torch.tensor([[1.0, 0.0]]),
        torch.zeros(1, 1, 32, 32),
        torch.zeros(1),
    )
    with torch.no_grad():
        masks, _, low = MaskDecoderGraph(scaled)(*arguments, torch.tensor([15.0, 20.0]))
        up = torch.nn.functional.interpolate(
            low, size=(64, 64), mode="bilinear", align_corners=False
        )[:, :, :30, :40]
        expected = torch.nn.functional.interpolate(
            up, size=(15, 20), mode="bilinear", align_corners=False
        )
    assert torch.equal(masks, expected)


def test_ais_maps_of_the_networks_are_those_of_the_decoder(sam, model):
    embeddings = model.embed(random_image((64, 64)))
    with torch.no_grad():
        expected = sam.ais_decoder(torch.from_numpy(embeddings.values)).numpy()
    np.testing.assert_array_equal(model.networks.decode_ais(embeddings.values), expected)


def test_a_graph_without_ais_decoder_says_so():
    from samzoo.training.networks.graphs import AisGraph

    graph = AisGraph(tiny.make_sam(tiny.make_config(ais=False)))
    with pytest.raises(ValueError, match="no AIS decoder"):
        graph(torch.zeros(1, 256, 8, 8))
