"""Bare weights say nothing of their network's sizes: the sizes that no registry builds are told."""

import dataclasses

import pytest
import tiny

from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.zoo.checkpoints.tools.builders import published_size, unusual_network
from samzoo.zoo.checkpoints.tools.differences import (
    HUGGINGFACE,
    MICRO_SAM,
    SEGMENT_ANYTHING,
    ToolPath,
    lost_answers,
)


def config_with(encoder):
    config = tiny.make_config("vit", ais=False)
    architecture = dataclasses.replace(config.architecture, image_encoder=encoder)
    return dataclasses.replace(config, architecture=architecture)


def test_sam_at_1024_pixels_needs_no_word():
    vit_b = config_with(VitConfig())
    assert published_size(vit_b) == "vit_b"
    assert unusual_network(vit_b) == ""


def test_sam_at_another_image_size_is_not_in_the_registry():
    config = config_with(VitConfig(image_size=512))
    assert published_size(config) == ""
    text = unusual_network(config)
    assert "at 512 pixels" in text
    assert "image_size=512, patch_size=16, embed_dim=768, depth=12" in text


def test_lite_medsam_has_its_own_code():
    assert "LiteMedSAM's own code builds" in unusual_network(config_with(TinyVitConfig()))


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (SEGMENT_ANYTHING, True),
        (MICRO_SAM, True),
        (HUGGINGFACE, False),  # its config has the numbers
        (ToolPath(name="osam", graphs=True), False),
    ],
)
def test_only_tools_that_build_the_network_themselves_are_told(path, told):
    found = lost_answers(config_with(VitConfig(image_size=512)), path)
    assert any("image_size=512" in sentence for sentence in found) == told
