"""Pixel statistics folded into the first layer, against the network with its own statistics."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.config import Preprocessing
from samzoo.zoo.checkpoints.tools.folded_statistics import fold_statistics, takes_sam_statistics

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

OWN = Preprocessing(pixel_mean=(0.0, 10.0, 20.0), pixel_std=(255.0, 200.0, 60.0))


def embeddings(config, tensors, image):
    from samzoo.training.networks.sam import Sam, load_weights

    sam = Sam(config)
    load_weights(sam, tensors, where="test")
    with torch.no_grad():
        return sam.eval().embed(image).numpy()


def pair(encoder, preprocessing=OWN):
    """The same weights with their own statistics, and folded with SAM's."""
    from samzoo.training.networks.sam import weights_of

    config = dataclasses.replace(tiny.make_config(encoder, ais=False), preprocessing=preprocessing)
    own = weights_of(tiny.make_sam(config))
    folded = dataclasses.replace(config, preprocessing=Preprocessing())
    return (config, own), (folded, fold_statistics(preprocessing, own))


def picture(height, width):
    return torch.from_numpy(
        np.random.default_rng(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
    )


def test_a_square_image_gives_the_same_embeddings_in_a_tool_with_sams_statistics():
    own, folded = pair("vit")
    image = picture(64, 64)
    expected = embeddings(own[0], own[1], image)
    assert (
        np.abs(embeddings(folded[0], folded[1], image) - expected).max()
        <= 1e-4 * np.abs(expected).max()
    )
    unfolded = embeddings(folded[0], own[1], image)
    assert np.abs(unfolded - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("encoder", ["vit", "tiny_vit"])
def test_only_padding_and_a_convolutions_own_border_differ(encoder):
    from samzoo.training.networks.sam import Sam, load_weights

    first = []
    for config, tensors in pair(encoder):
        sam = Sam(config)
        load_weights(sam, tensors, where="test")
        stem: Any = sam.eval().image_encoder.patch_embed
        layer = stem.proj if encoder == "vit" else stem.seq[0]
        with torch.no_grad():
            first.append(layer(sam.preprocess(picture(64, 32))).numpy())
    half = first[0].shape[3] // 2
    border = 0 if encoder == "vit" else 1
    inside = [value[..., border:, border : half - border] for value in first]
    assert np.abs(inside[0] - inside[1]).max() <= 1e-4 * np.abs(inside[0]).max()
    padding = [value[..., half + 1 :] for value in first]
    assert np.abs(padding[0] - padding[1]).max() > 0.05


def test_sams_own_statistics_change_nothing():
    (_, own), (_, folded) = pair("vit", Preprocessing())
    assert all(np.array_equal(folded[name], value) for name, value in own.items())


def test_a_network_whose_own_tool_does_not_normalise_stays_plain():
    lite = tiny.make_config("tiny_vit", wider=True, pixel_mean=(0, 0, 0), pixel_std=(255, 255, 255))
    assert lite.architecture.image_encoder.patch_kernel == 1
    assert not takes_sam_statistics(lite)
    assert takes_sam_statistics(tiny.make_config("vit", pixel_mean=(0, 0, 0)))
