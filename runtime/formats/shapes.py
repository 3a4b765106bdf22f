"""The names and shapes of all tensors of a model, derived from its numbers.

In: an ``Architecture``. Out: shapes by the original SAM key names. Code that reads weights
compares them with these shapes before it builds a network. No torch is needed.
"""

from __future__ import annotations

from itertools import pairwise

from samzoo.runtime.formats.families.layer_shapes import (
    BATCH_NORM_COUNTER,
    Shapes,
    batch_norm,
    layer,
    under,
)
from samzoo.runtime.formats.families.table import family_of

from .architecture import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    AisDecoderConfig,
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    UnetrDecoderConfig,
)

STATISTICS = ("running_mean", "running_var", BATCH_NORM_COUNTER)
"""Last parts of the names of BatchNorm's tensors that are not parameters."""

POINT_EMBEDDINGS = 4
"""Number of learned point embeddings: background, foreground, and the two corners of a box."""

ATTENTION_DOWNSAMPLING = 2
"""Factor by which the mask decoder's cross attention reduces the channels. Source:
segment-anything, ``modeling/transformer.py``."""


def is_statistic(name: str) -> bool:
    """Tell whether a tensor is one of BatchNorm's statistics, not a parameter."""
    return name.rpartition(".")[2] in STATISTICS


def tensor_shapes(architecture: Architecture) -> Shapes:
    """List all tensors of a model with their shapes.

    Args:
        architecture: The networks in numbers.

    Returns:
        Shapes by name, for the image encoder, the prompt encoder, the mask decoder and, if there
        is one, the AIS decoder. BatchNorm's counters have the shape ``()``.

    Example:
        >>> from samzoo.runtime.formats.architecture import Architecture
        >>> from samzoo.runtime.formats.families.vit import VitConfig
        >>> shapes = tensor_shapes(Architecture(image_encoder=VitConfig()))
        >>> len(shapes), shapes["image_encoder.pos_embed"]
        (314, (1, 64, 64, 768))
    """
    encoder = architecture.image_encoder
    image_encoder = {**family_of(encoder).shapes(encoder), **_neck(encoder.channels)}
    shapes = {
        **under("image_encoder", image_encoder),
        **under("prompt_encoder", _prompt_encoder(architecture.mask_decoder)),
        **under("mask_decoder", _mask_decoder(architecture.mask_decoder)),
    }
    if architecture.ais_decoder is not None:
        shapes.update(under("ais_decoder", ais_decoder_shapes(architecture.ais_decoder)))
    return shapes


def ais_decoder_shapes(config: AisDecoderConfig) -> Shapes:
    """List the tensors of an AIS decoder, by the names below ``ais_decoder.``."""
    return _light(config) if isinstance(config, LightDecoderConfig) else _unetr(config)


def _neck(inputs: int) -> Shapes:
    channels = EMBEDDING_CHANNELS
    return {
        "neck.0.weight": (channels, inputs, 1, 1),
        **layer("neck.1", channels),
        "neck.2.weight": (channels, channels, 3, 3),
        **layer("neck.3", channels),
    }


def _prompt_encoder(config: MaskDecoderConfig) -> Shapes:
    channels, inner = EMBEDDING_CHANNELS, config.mask_in_chans
    names = ["not_a_point_embed", "no_mask_embed"]
    names += [f"point_embeddings.{i}" for i in range(POINT_EMBEDDINGS)]
    return {
        "pe_layer.positional_encoding_gaussian_matrix": (2, channels // 2),
        **{f"{name}.weight": (1, channels) for name in names},
        **layer("mask_downscaling.0", inner // 4, 1, 2, 2),
        **layer("mask_downscaling.1", inner // 4),
        **layer("mask_downscaling.3", inner, inner // 4, 2, 2),
        **layer("mask_downscaling.4", inner),
        **layer("mask_downscaling.6", channels, inner, 1, 1),
    }


def _mask_decoder(config: MaskDecoderConfig) -> Shapes:
    channels, tokens = EMBEDDING_CHANNELS, config.num_multimask_outputs + 1
    shapes: Shapes = {
        "iou_token.weight": (1, channels),
        "mask_tokens.weight": (tokens, channels),
        **layer("output_upscaling.0", channels, channels // 4, 2, 2, outputs=channels // 4),
        **layer("output_upscaling.1", channels // 4),
        **layer("output_upscaling.3", channels // 4, channels // 8, 2, 2, outputs=channels // 8),
        **_mlp("iou_prediction_head", config.iou_head_hidden_dim, config.iou_head_depth, tokens),
        **_attention("transformer.final_attn_token_to_image", ATTENTION_DOWNSAMPLING),
        **layer("transformer.norm_final_attn", channels),
    }
    for token in range(tokens):
        shapes.update(_mlp(f"output_hypernetworks_mlps.{token}", channels, 3, channels // 8))
    for index in range(config.transformer_depth):
        tensors = {
            **_attention("self_attn", 1),
            **_attention("cross_attn_token_to_image", ATTENTION_DOWNSAMPLING),
            **_attention("cross_attn_image_to_token", ATTENTION_DOWNSAMPLING),
            **layer("mlp.lin1", config.transformer_mlp_dim, channels),
            **layer("mlp.lin2", channels, config.transformer_mlp_dim),
        }
        for norm in range(1, 5):
            tensors.update(layer(f"norm{norm}", channels))
        shapes.update(under(f"transformer.layers.{index}", tensors))
    return shapes


def _attention(name: str, downsampling: int) -> Shapes:
    channels, inner = EMBEDDING_CHANNELS, EMBEDDING_CHANNELS // downsampling
    return {
        **layer(f"{name}.q_proj", inner, channels),
        **layer(f"{name}.k_proj", inner, channels),
        **layer(f"{name}.v_proj", inner, channels),
        **layer(f"{name}.out_proj", channels, inner),
    }


def _mlp(name: str, hidden: int, depth: int, outputs: int) -> Shapes:
    sizes = [EMBEDDING_CHANNELS, *[hidden] * (depth - 1), outputs]
    shapes: Shapes = {}
    for index in range(depth):
        shapes.update(layer(f"{name}.layers.{index}", sizes[index + 1], sizes[index]))
    return shapes


def _light(config: LightDecoderConfig) -> Shapes:
    first, second, third = config.channels
    shapes: Shapes = {}
    for name, outputs, inputs, kernel in (
        ("reduce", first, EMBEDDING_CHANNELS, 1),
        ("refine.0", first, first, 3),
        ("refine.1", first, first, 3),
        ("up1.0", second, first, 3),
        ("up1.1", second, second, 3),
        ("up2", third, second, 3),
    ):
        shapes.update(layer(f"{name}.0", outputs, inputs, kernel, kernel))
        shapes.update(layer(f"{name}.1", outputs))
    return {**shapes, **layer("head", len(AIS_CHANNELS), third, 1, 1)}


def _unetr(config: UnetrDecoderConfig) -> Shapes:
    features, last = config.features, config.features[-1]
    sides = [EMBEDDING_CHANNELS, *features]
    shapes = {
        **_two_convolutions("base", EMBEDDING_CHANNELS, features[0]),
        **_sampler("deconv_out", last, last, config),
        **_two_convolutions("decoder_head", 2 * last, last),
        **layer("out_conv", len(AIS_CHANNELS), last, 1, 1),
    }
    for level, (inputs, outputs) in enumerate(pairwise(sides), start=1):
        name = f"deconv{level}.block"
        shapes.update(_sampler(f"{name}.0", inputs, outputs, config))
        shapes.update(layer(f"{name}.1.block", outputs, outputs, 3, 3))
        shapes.update(batch_norm(f"{name}.2", outputs))
    for level, (inputs, outputs) in enumerate(pairwise(features)):
        # `outputs` come from below, as many are taken from the other path.
        shapes.update(_two_convolutions(f"decoder.blocks.{level}", 2 * outputs, outputs))
        shapes.update(_sampler(f"decoder.samplers.{level}", inputs, outputs, config))
    return shapes


def _two_convolutions(name: str, inputs: int, outputs: int) -> Shapes:
    return {
        **layer(f"{name}.block.1", outputs, inputs, 3, 3),
        **layer(f"{name}.block.4", outputs, outputs, 3, 3),
    }


def _sampler(name: str, inputs: int, outputs: int, config: UnetrDecoderConfig) -> Shapes:
    if config.upsampling == "transposed":
        return layer(f"{name}.block", inputs, outputs, 2, 2, outputs=outputs)
    return layer(f"{name}.conv", outputs, inputs, 1, 1)
