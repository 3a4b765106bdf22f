"""The rearranged mask decoder against segment-anything's own forward pass."""

import dataclasses

import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.methods import mask_decoder_lora  # noqa: E402
from samzoo.training.methods.lora import LoraSettings  # noqa: E402
from samzoo.training.networks.mask_decoding import draw_masks, predict_tokens  # noqa: E402

TOLERANCE = 1e-4
"""Of the largest value, in float32: sums run in another order."""

EXACT = 1e-11
"""The same in float64, which shows that the two are the same function."""


@pytest.fixture(scope="module", params=["two layers", "one layer"])
def sam(request):
    """The published decoder's sizes but for a narrow MLP, and the tests' smallest."""
    return tiny.make_sam(tiny.make_config(wider=request.param == "two layers"))


def prompts(sam, n, *, masks, k=3):
    generator = torch.Generator().manual_seed(n)
    grid = sam.config.grid
    embeddings = torch.randn(1, 256, grid, grid, generator=generator)
    sparse = torch.randn(n, k, 256, generator=generator)
    dense = torch.randn(n if masks else 1, 256, grid, grid, generator=generator)
    return embeddings, sam.prompt_encoder.get_dense_pe(), sparse, dense


def original(sam, embeddings, positions, sparse, dense):
    """segment-anything's, for one object a time: it repeats the image for each object itself."""
    dense = dense.expand(len(sparse), -1, -1, -1)
    return sam.mask_decoder.predict_masks(embeddings, positions, sparse, dense)


def assert_close(found, expected, tolerance):
    assert float((found - expected).abs().max() / expected.abs().max()) < tolerance


@pytest.mark.parametrize("masks", [False, True], ids=["no masks", "masks"])
@pytest.mark.parametrize(("n", "k"), [(1, 2), (4, 3), (2, 17)])
@torch.no_grad()
def test_logits_and_iou_equal_those_of_segment_anything(sam, masks, n, k):
    for double, tolerance in ((False, TOLERANCE), (True, EXACT)):
        convert = torch.nn.Module.double if double else torch.nn.Module.float
        convert(sam.mask_decoder)
        arguments = prompts(sam, n, masks=masks, k=k)
        if double:
            arguments = tuple(value.double() for value in arguments)
        expected, expected_iou = original(sam, *arguments)
        pixels, vectors, iou = predict_tokens(sam.mask_decoder, *arguments)
        grid = (sam.config.grid, sam.config.grid)
        assert_close(draw_masks(sam.mask_decoder, pixels, vectors, grid), expected, tolerance)
        assert_close(iou, expected_iou, tolerance)
        some = draw_masks(sam.mask_decoder, pixels, vectors[:, 2:3], grid)
        assert_close(some, expected[:, 2:3], tolerance)
    sam.mask_decoder.float()


@torch.no_grad()
def test_a_grid_that_is_not_square(sam):
    generator = torch.Generator().manual_seed(0)
    embeddings = torch.randn(1, 256, 5, 9, generator=generator)
    positions = torch.randn(1, 256, 5, 9, generator=generator)
    dense = torch.randn(1, 256, 5, 9, generator=generator)
    sparse = torch.randn(2, 3, 256, generator=generator)
    expected, _ = original(sam, embeddings, positions, sparse, dense)
    pixels, vectors, _ = predict_tokens(sam.mask_decoder, embeddings, positions, sparse, dense)
    found = draw_masks(sam.mask_decoder, pixels, vectors, (5, 9))
    assert_close(found, expected, TOLERANCE)


def test_gradients_equal_those_of_segment_anything(sam):
    arguments = prompts(sam, 3, masks=False)
    generator = torch.Generator().manual_seed(0)
    parameters = list(sam.mask_decoder.parameters())
    grid = (sam.config.grid, sam.config.grid)

    def ours():
        pixels, vectors, iou = predict_tokens(sam.mask_decoder, *arguments)
        return draw_masks(sam.mask_decoder, pixels, vectors, grid), iou

    weight = torch.randn(ours()[0].shape, generator=generator)
    gradients = []
    for forward in (ours, lambda: original(sam, *arguments)):
        logits, iou = forward()
        loss = (torch.tanh(logits) * weight).mean() + iou.sum()
        gradients.append(torch.autograd.grad(loss, parameters, allow_unused=True))
    for (name, _), a, b in zip(sam.mask_decoder.named_parameters(), *gradients, strict=True):
        if name.endswith("token_to_image.k_proj.bias") and a is None:
            continue  # it cancels in the softmax
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-6, msg=name)


@torch.no_grad()
def test_factors_on_the_attention_are_part_of_its_weights(sam):
    other = tiny.make_sam(dataclasses.replace(sam.config))
    arguments = prompts(sam, 2, masks=False)
    before = predict_tokens(other.mask_decoder, *arguments)[1]
    mask_decoder_lora.attach(other.mask_decoder, LoraSettings(mask_decoder_rank=2, scale=0.5))
    for name, value in other.mask_decoder.named_parameters():
        if ".lora_b." in name:
            value.normal_(generator=torch.Generator().manual_seed(0))
    pixels, vectors, _ = predict_tokens(other.mask_decoder, *arguments)
    assert float((vectors - before).abs().max()) > 0.01
    grid = (sam.config.grid, sam.config.grid)
    expected, _ = original(other, *arguments)
    assert_close(draw_masks(other.mask_decoder, pixels, vectors, grid), expected, TOLERANCE)
