"""The torch networks of the encoder families: one row for each class of configs.

In: the numbers of an image encoder. Out: its module, and the functions that compute it in exported
graphs and in training. What needs no torch stands in ``samzoo.runtime.formats.families``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from samzoo.runtime.errors import InputError, shown
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig

from .steps import EncoderStep, step_of
from .tiny_vit import TinyVit
from .vit import vit_steps
from .vit_graph import encode_vit


@dataclass(frozen=True, kw_only=True)
class EncoderNetwork:
    """How torch computes the encoders of one family."""

    build: Callable[[Any], nn.Module]
    """Makes the module from a config of the family."""

    encode: Callable[[nn.Module, Tensor], Tensor]
    """Computes the module in exported graphs, which run on CPUs: from images ``(n, 3, side,
    side)`` to embeddings ``(n, 256, grid, grid)``."""

    steps: Callable[[Any], list[EncoderStep]] = lambda encoder: [step_of(encoder, encoder)]
    """Cuts the module into the steps in which training computes it: by default a single one."""


def encoder_network(config: EncoderConfig) -> EncoderNetwork:
    """Return the row of an encoder's family.

    Raises:
        InputError: No row has the config's class.
    """
    if type(config) not in ENCODER_NETWORKS:
        raise InputError(
            f"image_encoder: no network for a {shown(type(config).__name__)}; add a row to "
            "ENCODER_NETWORKS in samzoo.training.encoders.table"
        )
    return ENCODER_NETWORKS[type(config)]


def _build_vit(config: VitConfig) -> nn.Module:
    encoder: nn.Module = ImageEncoderViT(
        img_size=config.image_size,
        patch_size=config.patch_size,
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=config.mlp_ratio,
        out_chans=EMBEDDING_CHANNELS,
        qkv_bias=True,
        norm_layer=_layer_norm,
        use_rel_pos=True,
        window_size=config.window_size,
        global_attn_indexes=config.global_attn_indexes,
    )
    return encoder


def _layer_norm(channels: int) -> nn.LayerNorm:
    # 1e-6 is not torch's default. Source: segment-anything, build_sam.py.
    return nn.LayerNorm(channels, eps=1e-6)


def _encode_as_trained(encoder: nn.Module, images: Tensor) -> Tensor:
    embeddings: Tensor = encoder(images)
    return embeddings


ENCODER_NETWORKS: dict[type[EncoderConfig], EncoderNetwork] = {
    VitConfig: EncoderNetwork(build=_build_vit, encode=encode_vit, steps=vit_steps),
    TinyVitConfig: EncoderNetwork(build=TinyVit, encode=_encode_as_trained, steps=TinyVit.steps),
}
"""A new family is a row here and one in ``samzoo.runtime.formats.families.table``."""
