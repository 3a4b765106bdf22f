"""Tiny models in torch with random weights, and the folders made of them.

torch is imported inside the fixtures: the command line's tests run without it.
"""

from functools import partial

import numpy as np
import pytest

from samzoo.runtime.config import (
    Architecture,
    EncoderConfig,
    LightDecoderConfig,
    MaskDecoderConfig,
    ModelConfig,
    Preprocessing,
    TinyVitConfig,
    VitConfig,
)
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.files import write_json, write_tensors

TINY_VIT_B = VitConfig(
    image_size=64,
    patch_size=8,
    embed_dim=32,
    depth=2,
    num_heads=4,
    window_size=3,
    global_attn_indexes=(1,),
)
TINY_TINY_VIT = TinyVitConfig(
    image_size=64,
    embed_dims=(8, 16, 24, 32),
    depths=(1, 1, 2, 1),
    num_heads=(1, 2, 3, 4),
    window_sizes=(7, 7, 14, 7),
)
ENCODERS: dict[str, EncoderConfig] = {"vit": TINY_VIT_B, "tiny_vit": TINY_TINY_VIT}


def tiny_config(encoder="vit", *, preprocessing=None, point_output="multimask"):
    return ModelConfig(
        architecture=Architecture(
            image_encoder=ENCODERS[encoder],
            mask_decoder=MaskDecoderConfig(transformer_mlp_dim=64, point_output=point_output),
            ais_decoder=LightDecoderConfig(channels=(16, 8, 8)),
        ),
        preprocessing=preprocessing or Preprocessing(),
    )


def randomise(module, seed=0):
    """Fill all weights, also those that start as zeros: relative positions, biases, statistics."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if name.endswith("running_var"):
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
            elif value.is_floating_point():
                value.copy_(torch.randn(value.shape, generator=generator) * 0.15)
    return module.eval()


def build_tiny_sam(encoder="vit", *, seed=0, **options):
    from samzoo.training.sam import Sam

    return randomise(Sam(tiny_config(encoder, **options)), seed)


def write_model(folder, config, tensors):
    """Write a base or model folder; returns it."""
    folder.mkdir(parents=True)
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    digest = weights_digest(tensors)
    header = config.to_json()
    write_json(folder / "config.json", {**header, "weights_digest": digest})
    return folder


@pytest.fixture(scope="session")
def tiny_sam():
    """Make a tiny SAM: ``tiny_sam(encoder, preprocessing=...)``."""
    pytest.importorskip("torch")
    pytest.importorskip("segment_anything")
    return build_tiny_sam


@pytest.fixture(scope="session")
def model_folder(tiny_sam, tmp_path_factory):
    """Write a tiny model folder: ``model_folder(encoder, preprocessing=...)``."""
    from samzoo.training.sam import weights_of

    def make(encoder="vit", **options):
        sam = tiny_sam(encoder, **options)
        return write_model(tmp_path_factory.mktemp("models") / "model", sam.config, weights_of(sam))

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
        self.base = write_model(folder / "base", self.config, self.tensors)

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
        from samzoo.training.adapter import AdapterConfig, write_adapter

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
    """Segment-anything's own SAM, as tiny as ``tiny_config("vit")``, with the same weights."""
    pytest.importorskip("torch")
    modeling = pytest.importorskip("segment_anything.modeling")
    import torch

    def build(sam):
        encoder, decoder = TINY_VIT_B, sam.config.architecture.mask_decoder
        built = modeling.Sam(
            image_encoder=modeling.ImageEncoderViT(
                img_size=encoder.image_size,
                patch_size=encoder.patch_size,
                embed_dim=encoder.embed_dim,
                depth=encoder.depth,
                num_heads=encoder.num_heads,
                mlp_ratio=4,
                norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
                qkv_bias=True,
                use_rel_pos=True,
                window_size=encoder.window_size,
                global_attn_indexes=list(encoder.global_attn_indexes),
                out_chans=256,
            ),
            prompt_encoder=modeling.PromptEncoder(
                embed_dim=256,
                image_embedding_size=(encoder.grid, encoder.grid),
                input_image_size=(encoder.image_size, encoder.image_size),
                mask_in_chans=16,
            ),
            mask_decoder=modeling.MaskDecoder(
                num_multimask_outputs=3,
                transformer=modeling.TwoWayTransformer(
                    depth=2, embedding_dim=256, mlp_dim=decoder.transformer_mlp_dim, num_heads=8
                ),
                transformer_dim=256,
                iou_head_depth=3,
                iou_head_hidden_dim=256,
            ),
            pixel_mean=[123.675, 116.28, 103.53],
            pixel_std=[58.395, 57.12, 57.375],
        )
        state = {k: v for k, v in sam.state_dict().items() if not k.startswith("ais_decoder.")}
        built.load_state_dict(state)
        return built.eval()

    return build
