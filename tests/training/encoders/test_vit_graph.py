"""The exported ViT against segment-anything's own forward pass."""

import pytest
import tiny

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.encoders import vit_graph  # noqa: E402
from samzoo.training.encoders.table import encoder_network  # noqa: E402

EXACT = 1e-12
"""In float64, relative to the largest value: the two are the same function."""

ENCODERS = tiny.VITS


def build(config):
    return encoder_network(config).build(config)


@pytest.mark.parametrize("name", ENCODERS)
@pytest.mark.parametrize(
    ("scores", "tokens"),
    [(4 * 2**20, 1024), (200, 7), (1, 1)],
    ids=["one piece", "some rows of some heads", "a row at a time"],
)
@torch.no_grad()
def test_embeddings_equal_those_of_segment_anything(monkeypatch, name, scores, tokens):
    monkeypatch.setattr(vit_graph, "SCORES_AT_ONCE", scores)
    monkeypatch.setattr(vit_graph, "TOKENS_AT_ONCE", tokens)
    config = ENCODERS[name]
    encoder = tiny.randomise(build(config)).double()
    side = config.image_size
    images = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).double()
    expected = encoder(images)
    found = vit_graph.encode_vit(encoder, images)
    assert float((found - expected).abs().max() / expected.abs().max()) < EXACT


@torch.no_grad()
def test_relative_positions_matter_in_this_test():
    """Zeroed, as segment-anything starts them, they would hide a swap of rows and columns."""
    encoder = tiny.randomise(build(tiny.ENCODERS["vit"]))
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    before = encoder(images)
    attention = encoder.blocks[1].attn
    attention.rel_pos_h.data, attention.rel_pos_w.data = (
        attention.rel_pos_w.data, attention.rel_pos_h.data,
    )  # fmt: skip
    assert float((encoder(images) - before).abs().max()) > 1e-3


@torch.no_grad()
def test_no_more_scores_than_allowed_are_held_at_once(monkeypatch):
    sizes = []
    softmax = torch.softmax

    def spy(scores, dim):
        sizes.append(scores.numel())
        return softmax(scores, dim=dim)

    monkeypatch.setattr(vit_graph, "SCORES_AT_ONCE", 1024)
    monkeypatch.setattr(torch, "softmax", spy)
    encoder = tiny.randomise(build(tiny.ENCODERS["vit"]))
    vit_graph.encode_vit(encoder, torch.zeros(1, 3, 64, 64))
    assert max(sizes) <= 1024
    assert sum(sizes) > 8192  # the global block alone has 2 heads x 64 x 64
