"""The table of networks has a row for each family, and takes a new one."""

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import tiny  # noqa: E402

from samzoo.runtime.errors import InputError  # noqa: E402
from samzoo.runtime.formats.families.table import config_classes  # noqa: E402
from samzoo.runtime.formats.families.vit import VitConfig  # noqa: E402
from samzoo.training.encoders import table as encoders  # noqa: E402
from samzoo.training.networks.graphs import EncoderGraph  # noqa: E402
from samzoo.training.networks.sam import Sam  # noqa: E402


class StridedConfig(VitConfig):
    """A third family, which only this test has: one convolution makes the embeddings."""


def build(config):
    return torch.nn.Conv2d(3, 256, config.patch_size, config.patch_size)


@pytest.fixture
def config():
    config = tiny.make_config(ais=False)
    encoder = StridedConfig(image_size=tiny.IMAGE_SIZE, patch_size=8)
    architecture = dataclasses.replace(config.architecture, image_encoder=encoder)
    return dataclasses.replace(config, architecture=architecture)


def test_every_family_has_a_network():
    assert set(encoders.ENCODER_NETWORKS) == set(config_classes())


def test_family_without_a_network_is_refused(config):
    with pytest.raises(InputError, match=r"no network for a 'StridedConfig'; add a row to ENCODER"):
        Sam(config)


@torch.no_grad()
def test_new_row_is_built_and_encodes_in_graphs(config, monkeypatch):
    row = encoders.EncoderNetwork(build=build, encode=lambda module, x: module(x) + 1)
    monkeypatch.setitem(encoders.ENCODER_NETWORKS, StridedConfig, row)
    sam = tiny.randomise(Sam(config))
    assert isinstance(sam.image_encoder, torch.nn.Conv2d)
    image = np.random.default_rng(0).uniform(0, 255, (40, 64, 3)).astype(np.float32)
    embeddings = EncoderGraph(sam)(torch.from_numpy(image))
    expected = sam.embed(torch.from_numpy(image).permute(2, 0, 1)[None]) + 1
    assert embeddings.shape == (1, 256, 8, 8)
    torch.testing.assert_close(embeddings, expected)
