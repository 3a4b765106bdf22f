"""Segment-anything's ViT as training computes it, against its own forward and backward pass."""

from typing import Any

import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.encoders import attention  # noqa: E402
from samzoo.training.encoders.steps import run_steps  # noqa: E402
from samzoo.training.encoders.table import encoder_network  # noqa: E402
from samzoo.training.encoders.vit import vit_steps  # noqa: E402
from samzoo.training.methods import METHODS, get_method  # noqa: E402
from samzoo.training.networks.sam import Sam  # noqa: E402

EXACT = 1e-12
"""In float64, relative to the largest value: the two are the same function."""

ENCODERS = tiny.VITS


def pictures(side):
    """A batch of two."""
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).double()


def compare(encoder, side):
    """Largest relative difference of embeddings, and of the gradient of each trained tensor."""
    images = pictures(side)
    parameters = {n: p for n, p in encoder.named_parameters() if p.requires_grad}
    results = []
    for compute in (encoder, lambda x: run_steps(vit_steps(encoder), x)):
        found = compute(images)
        weights = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).double()
        gradients = torch.autograd.grad((found * weights).sum(), [*parameters.values()])
        results.append([found.detach(), *gradients])
    # Attention does not see a bias of its keys, so that its gradient is zero but for rounding.
    largest = max(float(g.abs().max()) for g in results[0][1:])
    return max(
        float((a - b).abs().max()) / max(float(a.abs().max()), 1e-6 * largest)
        for a, b in zip(*results, strict=True)
    )


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize("scores", [4 * 2**20, 200, 1], ids=["one piece", "some rows", "one row"])
def test_embeddings_and_gradients_equal_those_of_segment_anything(monkeypatch, name, scores):
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", scores)
    config = ENCODERS[name]
    encoder = tiny.randomise(encoder_network(config).build(config)).double()
    assert compare(encoder, config.image_size) < EXACT


@pytest.mark.parametrize(
    "method", [m for m, row in METHODS.items() if m != "freeze_encoder" and row.quantized is None]
)
def test_gradients_of_every_method_equal_those_of_segment_anything(method):
    sam = tiny.make_sam(tiny.make_config("vit", ais=False))
    row = get_method(method)
    row.attach(sam.image_encoder, sam.config.architecture, row.settings({}))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in sam.image_encoder.parameters():
            value.add_(0.1 * torch.randn(value.shape, generator=generator))
    assert compare(sam.image_encoder.double(), 64) < EXACT


def test_this_is_how_a_sam_embeds(monkeypatch):
    """Its own forward pass, which keeps all scores, is never called."""
    sam: Sam = tiny.make_sam(tiny.make_config("vit", ais=False))
    image = 255 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = sam.image_encoder(sam.preprocess(image))

    def refuse(*_):
        raise AssertionError("segment-anything's own attention was called")

    encoder: Any = sam.image_encoder
    for block in encoder.blocks:
        monkeypatch.setattr(block.attn, "forward", refuse)
    found = sam.embed(image).detach()
    assert float((found - expected).abs().max() / expected.abs().max()) < 1e-5
