"""Tiny models in torch with random weights, and the folders made of them.

The networks are those of ``tests/tiny.py``, the wider ones. torch is imported inside the fixtures:
the command line's tests run without it.
"""

import dataclasses

import numpy as np
import pytest
import tiny

from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.shapes import tensor_shapes


@pytest.fixture(scope="session")
def tiny_sam():
    """Make a tiny SAM: ``tiny_sam(encoder, seed=..., preprocessing=..., point_output=...)``."""
    pytest.importorskip("torch")
    pytest.importorskip("segment_anything")

    def make(encoder="vit", *, seed=0, preprocessing=None, **options):
        config = tiny.make_config(encoder, wider=True, **options)
        config = dataclasses.replace(config, preprocessing=preprocessing or Preprocessing())
        return tiny.make_sam(config, seed)

    return make


@pytest.fixture(scope="session")
def model_folder(tiny_sam, tmp_path_factory):
    """Write a tiny model folder: ``model_folder(encoder, preprocessing=...)``."""

    def make(encoder="vit", **options):
        folder = tmp_path_factory.mktemp("models") / "model"
        return tiny.write_base(folder, tiny_sam(encoder, **options))

    return make


def toy_weights(rng, *, encoder_layers=2, dim=6):
    """Base weights by SAM's names, far smaller than any network; merge needs no network."""
    tensors = {}
    for layer in range(encoder_layers):
        prefix = f"image_encoder.blocks.{layer}.attn"
        tensors[f"{prefix}.qkv.weight"] = rng.standard_normal((3 * dim, dim)).astype(np.float32)
        tensors[f"{prefix}.qkv.bias"] = rng.standard_normal(3 * dim).astype(np.float32)
        tensors[f"{prefix}.proj.weight"] = rng.standard_normal((dim, dim)).astype(np.float32)
    for name in ("prompt_encoder.no_mask_embed.weight", "prompt_encoder.point_embeddings.0.weight",
                 "mask_decoder.iou_token.weight", "mask_decoder.mask_tokens.weight"):  # fmt: skip
        tensors[name] = rng.standard_normal((2, dim)).astype(np.float32)
    return tensors


class ToyAdapters:
    """Writes toy bases and adapters that fit them."""

    def __init__(self, folder, rng):
        self.folder, self.rng = folder, rng
        self.tensors = toy_weights(rng)
        architecture = Architecture(image_encoder=VitConfig(embed_dim=6, depth=2, num_heads=2))
        self.config = ModelConfig(architecture=architecture)
        self.base = tiny.write_weights(folder / "base", self.config, self.tensors)

    def adapter_tensors(self, *, zero=False, matrices=("q", "v")):
        """LoRA factors for the qkv layers, and finetuned decoders that differ from the base's."""
        tensors = {
            name: value + np.float32(1)
            for name, value in self.tensors.items()
            if not name.startswith("image_encoder.")
        }
        for layer in range(2):
            for matrix in matrices:
                prefix = f"image_encoder.blocks.{layer}.attn.qkv.lora"
                a, b = self.rng.standard_normal((4, 6)), self.rng.standard_normal((6, 4))
                tensors[f"{prefix}_a.{matrix}"] = a.astype(np.float32)
                tensors[f"{prefix}_b.{matrix}"] = (b * (not zero)).astype(np.float32)
        tensors["ais_decoder.head.weight"] = np.ones((3, 6), np.float32)
        return tensors

    def write(self, name="adapter", *, tensors=None, **changes):
        """Write an adapter folder; returns it."""
        from samzoo.runtime.formats.adapter import AdapterConfig, write_adapter

        fields = {
            "method": "lora",
            "hyperparameters": {"rank": 4, "matrices": ["q", "v"], "scale": 0.5},
            "base_digest": weights_digest(self.tensors),
            "base_path": str(self.base),
            "architecture": self.config.architecture,
            "preprocessing": Preprocessing(gamma=0.7),
            "ais": self.config.ais,
            "source": {"base": {"name": "toy"}, "training": {"seed": 3}},
            **changes,
        }
        folder = self.folder / name
        folder.mkdir()
        given = self.adapter_tensors() if tensors is None else tensors
        write_adapter(folder, AdapterConfig(**fields), given)
        return folder


@pytest.fixture
def toy_adapters(tmp_path, rng):
    return ToyAdapters(tmp_path, rng)


@pytest.fixture(scope="session")
def original_sam():
    """Make segment-anything's own SAM with the weights of a tiny one."""
    pytest.importorskip("torch")
    pytest.importorskip("segment_anything")
    return tiny.make_original


@pytest.fixture(scope="session")
def seeded_base(tmp_path_factory):
    """A base folder with the weights that ``goldens/make_adapter_goldens.py`` used."""
    config = tiny.make_config("vit", ais=False)
    tensors = tiny.seeded_weights(tensor_shapes(config.architecture))
    return tiny.write_weights(tmp_path_factory.mktemp("seeded") / "base", config, tensors)
