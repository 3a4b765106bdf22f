"""The part of an encoder's config that describes AdaptFormer's bypasses."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.encoder import AdaptFormerConfig
from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.runtime.formats.shapes import tensor_shapes


def with_bypasses(encoder, **given):
    config = tiny.make_config(encoder)
    changed = dataclasses.replace(
        config.architecture.image_encoder, adaptformer=AdaptFormerConfig(**given)
    )
    architecture = dataclasses.replace(config.architecture, image_encoder=changed)
    return dataclasses.replace(config, architecture=architecture)


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_bypasses_survive_the_round_trip_through_json(encoder):
    config = with_bypasses(encoder, projection=3, blocks=(0, 1), identity=True)
    assert from_json(ModelConfig, to_json(config), where="config.json") == config


@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_a_config_without_them_reads_as_none(encoder):
    value = to_json(tiny.make_config(encoder))
    del value["architecture"]["image_encoder"]["adaptformer"]
    assert from_json(ModelConfig, value, where="config.json") == tiny.make_config(encoder)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"projection": 0, "blocks": (0,)}, "adaptformer.projection: must be positive, found 0"),
        ({"blocks": ()}, r"adaptformer.blocks: expected different block indices .* found \[\]"),
        ({"blocks": (1, 0)}, "adaptformer.blocks: expected different block indices"),
        ({"blocks": (0, 0)}, "adaptformer.blocks: expected different block indices"),
        ({"blocks": (-1, 0)}, "adaptformer.blocks: expected different block indices"),
        ({"blocks": (0, 2)}, "adaptformer.blocks: there are blocks 0 to 1, found 2"),
    ],
)
def test_bypasses_that_cannot_be_are_errors(given, message):
    with pytest.raises(FormatError, match=message):
        with_bypasses("vit", **given)


@pytest.mark.torch
@pytest.mark.parametrize("encoder", tiny.ENCODERS)
def test_the_network_has_the_tensors_that_the_config_names(encoder):
    pytest.importorskip("torch")
    from samzoo.training.networks.sam import Sam

    config = with_bypasses(encoder, projection=3, blocks=(1,))
    network = {name: tuple(value.shape) for name, value in Sam(config).state_dict().items()}
    assert network == tensor_shapes(config.architecture)
    added = set(network) - set(tensor_shapes(tiny.make_config(encoder).architecture))
    block = {"vit": "blocks.1", "tiny_vit": "layers.2.blocks.0"}[encoder]
    assert len(added) == 5
    assert all(name.startswith(f"image_encoder.{block}.mlp.adaptformer_") for name in added)
