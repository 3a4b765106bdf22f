"""The models that the tools open, each exported once: the ViT-B for every target that takes it, the
others for the tools that open them."""

import dataclasses
import subprocess
import sys

import pytest
import tiny
from answers import picture
from tools import GRAPH_TOOLS

from samzoo.runtime.formats.architecture import MaskDecoderConfig, UnetrDecoderConfig
from samzoo.runtime.formats.families.vit import VitConfig


@pytest.fixture(scope="session")
def image():
    return picture()


@pytest.fixture(scope="session")
def small(tmp_path_factory):
    """A SAM of two narrow blocks at 1024 pixels; returns it and its package."""
    encoder = VitConfig(embed_dim=32, depth=2, num_heads=2, global_attn_indexes=(1,))
    return _export(
        tmp_path_factory.mktemp("small"), [*GRAPH_TOOLS, "huggingface", "transformers-js"],
        image_encoder=encoder, ais_decoder=None,
    )  # fmt: skip


@pytest.fixture(scope="session")
def vit_b(tmp_path_factory):
    """A ViT-B of random weights with micro-sam's AIS decoder."""
    return _export(
        tmp_path_factory.mktemp("vit_b"), ["all"],
        image_encoder=VitConfig(), ais_decoder=UnetrDecoderConfig(),
        mask_decoder=MaskDecoderConfig(),
    )  # fmt: skip


def _export(folder, targets, **parts):
    config = tiny.make_config("vit", ais=False, wider=True)
    architecture = dataclasses.replace(config.architecture, **parts)
    sam = tiny.make_sam(dataclasses.replace(config, architecture=architecture))
    base = tiny.write_base(folder / "base", sam)
    return sam, export_for(targets, base, folder / "package", "cells")


def export_for(targets, source, package, name):
    """Export for tools, in a process of its own, whose memory ends with it."""
    program = "import sys; from samzoo.zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    chosen = [word for target in targets for word in ("--target", target)]
    arguments = ["export", source, "-o", package, *chosen, "--name", name]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=3000)
    return package


@pytest.fixture(scope="session")
def shipped(tmp_path_factory):
    """The default model's package, exported from itself."""
    from samzoo.zoo import resolve

    source = resolve("nuclei-vit-t")
    if not (source / "model.safetensors").exists():
        pytest.skip("the shipped package holds no weights to export from")
    targets = [*GRAPH_TOOLS, "transformers-js", "bioimageio"]
    return export_for(targets, source, tmp_path_factory.mktemp("shipped") / "package", "nuclei")
