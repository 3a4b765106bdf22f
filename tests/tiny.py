"""Tiny SAMs for all tests: two blocks, 64 pixels, and no weight that is zero or one by chance.

segment-anything starts position embeddings, biases and the like at zero, so that a network that
ignores them would pass; here all of them are random. Torch is imported inside the functions: most
tests run without it. ``import tiny`` works in every test (``pythonpath`` in ``pyproject.toml``).
"""

import dataclasses
import zlib
from functools import partial
from typing import Any

import numpy as np

from samzoo.runtime.formats.architecture import (
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.files import read_tensors, write_json, write_tensors

QUICK = """\
epochs = 1
steps_per_epoch = 1
n_objects = 1
n_sub_iteration = 1
search_ais = false
validation_tasks = ["box"]
[hyperparameters]
rank = 2
"""
"""Settings of a training run of one step, as a file of ``--config``."""

IMAGE_SIZE = 64

ENCODERS: dict[str, EncoderConfig] = {
    # A grid of 8 is no multiple of the windows of 3: they are padded. Block 1 attends globally.
    "vit": VitConfig(
        image_size=IMAGE_SIZE,
        patch_size=8,
        embed_dim=16,
        depth=2,
        num_heads=2,
        mlp_ratio=2.0,
        window_size=3,
        global_attn_indexes=(1,),
    ),
    # Grids of 16 and 8: windows of 5 and 3 are padded, the last stage is one window.
    "tiny_vit": TinyVitConfig(
        image_size=IMAGE_SIZE,
        patch_kernel=3,
        patch_stride=2,
        embed_dims=(8, 12, 16, 24),
        depths=(1, 1, 2, 1),
        num_heads=(2, 2, 4, 3),
        window_sizes=(4, 5, 3, 8),
        strides=(1, 2, 1),
        mlp_ratio=2.0,
        mbconv_expand_ratio=2.0,
    ),
}

VITS: dict[str, EncoderConfig] = {
    "windows that are filled up": ENCODERS["vit"],
    "windows that fit": VitConfig(
        image_size=48, patch_size=8, embed_dim=24, depth=3, num_heads=3, window_size=2,
        global_attn_indexes=(0, 2),
    ),
    "no windows": VitConfig(
        image_size=40, patch_size=8, embed_dim=16, depth=1, num_heads=2, global_attn_indexes=(0,)
    ),
}  # fmt: skip

LARGE_ENCODERS: dict[str, EncoderConfig] = {
    # As large as published ones, for tools that take no other size.
    "vit_1024": VitConfig(
        image_size=1024, embed_dim=8, depth=1, num_heads=1, mlp_ratio=2.0, global_attn_indexes=()
    ),
}

WIDER_ENCODERS: dict[str, EncoderConfig] = {
    # What is exported is a little nearer to the published networks: ViT's ratio of 4, LiteMedSAM's
    # 1x1 stem with its grid of 16.
    "vit": VitConfig(
        image_size=IMAGE_SIZE,
        patch_size=8,
        embed_dim=32,
        depth=2,
        num_heads=4,
        window_size=3,
        global_attn_indexes=(1,),
    ),
    "tiny_vit": TinyVitConfig(
        image_size=IMAGE_SIZE,
        embed_dims=(8, 16, 24, 32),
        depths=(1, 1, 2, 1),
        num_heads=(1, 2, 3, 4),
        window_sizes=(7, 7, 14, 7),
    ),
}

MASK_DECODER = MaskDecoderConfig(
    mask_in_chans=4,
    transformer_depth=1,
    transformer_mlp_dim=16,
    transformer_num_heads=4,
    iou_head_depth=2,
    iou_head_hidden_dim=16,
)

WIDER_MASK_DECODER = MaskDecoderConfig(transformer_mlp_dim=64)

AIS_DECODER = LightDecoderConfig(channels=(8, 6, 4))
UNETR_DECODER = UnetrDecoderConfig(features=(12, 8, 6, 4), upsampling="transposed")


def make_config(encoder="vit", *, ais=True, wider=False, point_output="multimask", **preprocessing):
    """Config of a tiny SAM.

    ``encoder`` is a key of ``ENCODERS`` or ``LARGE_ENCODERS``; ``wider`` takes ``WIDER_ENCODERS``
    and a mask decoder that is segment-anything's own but for a narrow MLP, so that a converter
    finds its numbers.
    """
    decoder = WIDER_MASK_DECODER if wider else MASK_DECODER
    return ModelConfig(
        architecture=Architecture(
            image_encoder=(WIDER_ENCODERS if wider else {**ENCODERS, **LARGE_ENCODERS})[encoder],
            mask_decoder=dataclasses.replace(decoder, point_output=point_output),
            ais_decoder=AIS_DECODER if ais else None,
        ),
        preprocessing=Preprocessing(**preprocessing),
    )


def randomise(module, seed=0):
    """Give every weight and statistic of a network a random value; returns it in eval mode."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if not value.is_floating_point():
                continue
            noise = torch.randn(value.shape, generator=generator)
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
            elif name.endswith("weight") and value.ndim == 1:  # of a norm
                value.copy_(1.0 + 0.2 * noise)
            elif name.endswith("weight") and "embed" not in name:
                value.copy_(noise / value[0].numel() ** 0.5)
            else:  # biases, embeddings, relative positions, means
                value.copy_(0.3 * noise)
    return module.eval()


def make_sam(config=None, seed=0):
    """A randomised ``samzoo.training.networks.sam.Sam`` whose config has its digest."""
    from samzoo.training.networks.sam import Sam, weights_of

    sam = randomise(Sam(config or make_config()), seed)
    sam.config = dataclasses.replace(sam.config, weights_digest=weights_digest(weights_of(sam)))
    return sam


def make_picture(size):
    """Large cells in noise for tools, ``(height, width, 3)`` uint8; sides are multiples of 4."""
    small, _ = make_cells((size[0] // 4, size[1] // 4), seed=3)
    rng = np.random.default_rng(0)
    big = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)[..., None] * np.ones(3)
    return np.clip(big + rng.normal(0, 8, (*size, 3)), 0, 255).astype(np.uint8)


def make_original(sam):
    """segment-anything's own ``Sam`` with the weights of a ViT ``sam``."""
    import torch
    from segment_anything.modeling import (
        ImageEncoderViT,
        MaskDecoder,
        PromptEncoder,
        Sam,
        TwoWayTransformer,
    )

    encoder, decoder = sam.config.architecture.image_encoder, sam.config.architecture.mask_decoder
    original = Sam(
        image_encoder=ImageEncoderViT(
            img_size=encoder.image_size,
            patch_size=encoder.patch_size,
            embed_dim=encoder.embed_dim,
            depth=encoder.depth,
            num_heads=encoder.num_heads,
            mlp_ratio=encoder.mlp_ratio,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            qkv_bias=True,
            use_rel_pos=True,
            window_size=encoder.window_size,
            global_attn_indexes=encoder.global_attn_indexes,
            out_chans=256,
        ),
        prompt_encoder=PromptEncoder(
            embed_dim=256,
            image_embedding_size=(encoder.grid, encoder.grid),
            input_image_size=(encoder.image_size, encoder.image_size),
            mask_in_chans=decoder.mask_in_chans,
        ),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=decoder.num_multimask_outputs,
            transformer=TwoWayTransformer(
                depth=decoder.transformer_depth,
                embedding_dim=256,
                mlp_dim=decoder.transformer_mlp_dim,
                num_heads=decoder.transformer_num_heads,
            ),
            transformer_dim=256,
            iou_head_depth=decoder.iou_head_depth,
            iou_head_hidden_dim=decoder.iou_head_hidden_dim,
        ),
        pixel_mean=sam.config.preprocessing.pixel_mean,
        pixel_std=sam.config.preprocessing.pixel_std,
    )
    state = sam.state_dict()
    original.load_state_dict({n: v for n, v in state.items() if not n.startswith("ais_decoder.")})
    return original.eval()


def write_base(folder, sam):
    """Write a base folder with the weights of ``sam``; returns the folder."""
    from samzoo.training.networks.sam import weights_of

    return write_weights(folder, sam.config, weights_of(sam))


def write_weights(folder, config, tensors):
    """Write a base or model folder; returns it. Needs no torch."""
    folder.mkdir(parents=True)
    write_tensors(folder / "model.safetensors", tensors, {"format": "pt"})
    config = dataclasses.replace(config, weights_digest=weights_digest(tensors))
    write_json(folder / "config.json", config.to_json())
    return folder


def make_cells(shape=(80, 96), seed=0, radius=7):
    """A noisy uint8 image of bright cells on a dark ground, two of them touching, and its labels.

    Returns:
        Image ``(height, width)`` and labels ``(height, width)`` int32.
    """
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    step = 3 * radius
    centers = [
        (y, x)
        for y in range(radius + 1, shape[0] - radius, step)
        for x in range(radius + 1, shape[1] - radius, step)
    ]
    centers.append((centers[0][0] + 2 * radius - 2, centers[0][1] + 1))  # touches the first
    for label, (y, x) in enumerate(centers, start=1):
        size = radius - rng.integers(0, 2)
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= size**2
        labels[disc & (labels == 0)] = label
    image = np.where(labels > 0, 170, 40) + rng.normal(0, 15, shape)
    return np.clip(image, 0, 255).astype(np.uint8), labels


def seeded_weights(shapes, seed=0):
    """Random float32 arrays by name, the same on every machine: each from its name and ``seed``.

    Scales of norms and of SSF lie around 1, variances above 0.5, and no value is zero or one.
    """
    tensors = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        noise = rng.standard_normal(shape)
        if name.endswith("running_var"):
            noise = 0.5 + np.abs(noise)
        elif name.endswith("scale") or (name.endswith("weight") and len(shape) == 1):
            noise = 1.0 + 0.2 * noise
        elif name.endswith("weight") and len(shape) > 1 and "embed" not in name:
            noise = noise / np.prod(shape[1:]) ** 0.5
        else:
            noise = 0.3 * noise
        tensors[name] = noise.astype(np.float32)
    return tensors


def write_lora_adapter(folder, base, method, hyperparameters, *, seed, **changes):
    """An adapter folder with random factors and decoders that differ from the base's."""
    from samzoo.runtime.formats import adapter
    from samzoo.runtime.formats.fields import to_json
    from samzoo.training.methods import get_method

    config = ModelConfig.read(base / "config.json")
    tensors = read_tensors(base / "model.safetensors")
    chosen = get_method(method)
    settings = chosen.resolved(chosen.settings(hyperparameters), config.architecture)
    encoder = {n: v.shape for n, v in tensors.items() if n.startswith("image_encoder.")}
    shapes = {n.removeprefix("image_encoder."): shape for n, shape in encoder.items()}
    rng = np.random.default_rng(seed)
    delta = {
        f"image_encoder.{name}": (rng.standard_normal(shape) * 0.3).astype(np.float32)
        for name, shape in chosen.trainable(shapes, config.architecture, settings).items()
    }
    decoders = {
        name: value + (rng.standard_normal(value.shape) * 0.05).astype(value.dtype)
        for name, value in adapter.adapter_tensors(tensors, set()).items()
    }
    fields: dict[str, Any] = {
        "method": method, "hyperparameters": to_json(settings),
        "base_digest": config.weights_digest,
        "base_path": str(base), "architecture": config.architecture,
        "preprocessing": config.preprocessing, "ais": config.ais,
        "source": {"base": {"license": "Apache-2.0"}}, **changes,
    }  # fmt: skip
    folder.mkdir(parents=True)
    adapter.write_adapter(folder, adapter.AdapterConfig(**fields), {**delta, **decoders})
    return folder
