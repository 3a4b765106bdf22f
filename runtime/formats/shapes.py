"""The names and shapes of all tensors of a model, derived from its numbers.

In: an ``Architecture``. Out: shapes by the original SAM key names. Code that reads weights
compares them with these shapes before it builds a network. No torch is needed.
"""

from __future__ import annotations

from itertools import pairwise

from .architecture import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    AisDecoderConfig,
    Architecture,
    EncoderConfig,
    LightDecoderConfig,
    MaskDecoderConfig,
    TinyVitConfig,
    UnetrDecoderConfig,
    VitConfig,
)

Shape = tuple[int, ...]
Shapes = dict[str, Shape]

BATCH_NORM_COUNTER = "num_batches_tracked"
"""The name of BatchNorm's counter, the only integer among a model's tensors."""

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
        >>> from samzoo.runtime.formats.architecture import Architecture, VitConfig
        >>> shapes = tensor_shapes(Architecture(image_encoder=VitConfig()))
        >>> len(shapes), shapes["image_encoder.pos_embed"]
        (314, (1, 64, 64, 768))
    """
    encoder = architecture.image_encoder
    image_encoder = _vit(encoder) if isinstance(encoder, VitConfig) else _tiny_vit(encoder)
    shapes = {
        **_under("image_encoder", image_encoder),
        **_under("prompt_encoder", _prompt_encoder(architecture.mask_decoder)),
        **_under("mask_decoder", _mask_decoder(architecture.mask_decoder)),
    }
    if architecture.ais_decoder is not None:
        shapes.update(_under("ais_decoder", ais_decoder_shapes(architecture.ais_decoder)))
    return shapes


def ais_decoder_shapes(config: AisDecoderConfig) -> Shapes:
    """List the tensors of an AIS decoder, by the names below ``ais_decoder.``."""
    return _light(config) if isinstance(config, LightDecoderConfig) else _unetr(config)


def _under(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def _layer(name: str, *weight: int, outputs: int | None = None) -> Shapes:
    """A linear layer, convolution or norm: its weight, and a bias for each output."""
    return {
        f"{name}.weight": weight,
        f"{name}.bias": (weight[0] if outputs is None else outputs,),
    }


def _batch_norm(name: str, channels: int) -> Shapes:
    return {
        **_layer(name, channels),
        f"{name}.running_mean": (channels,),
        f"{name}.running_var": (channels,),
        f"{name}.{BATCH_NORM_COUNTER}": (),
    }


def _neck(inputs: int) -> Shapes:
    channels = EMBEDDING_CHANNELS
    return {
        "neck.0.weight": (channels, inputs, 1, 1),
        **_layer("neck.1", channels),
        "neck.2.weight": (channels, channels, 3, 3),
        **_layer("neck.3", channels),
    }


def _vit(config: VitConfig) -> Shapes:
    dim, grid, patch = config.embed_dim, config.grid, config.patch_size
    hidden, head = int(dim * config.mlp_ratio), dim // config.num_heads
    shapes: Shapes = {
        "pos_embed": (1, grid, grid, dim),
        **_layer("patch_embed.proj", dim, 3, patch, patch),
    }
    for block in range(config.depth):
        side = grid if block in config.global_attn_indexes else config.window_size
        tensors = {
            **_layer("norm1", dim),
            **_layer("attn.qkv", 3 * dim, dim),
            **_layer("attn.proj", dim, dim),
            **{f"attn.rel_pos_{axis}": (2 * side - 1, head) for axis in "hw"},
            **_layer("norm2", dim),
            **_layer("mlp.lin1", hidden, dim),
            **_layer("mlp.lin2", dim, hidden),
            **_bypass(block, dim, config),
        }
        shapes.update(_under(f"blocks.{block}", tensors))
    return {**shapes, **_neck(dim)}


def _tiny_vit(config: TinyVitConfig) -> Shapes:
    dims, kernel = config.embed_dims, config.patch_kernel
    shapes = {
        **_conv_norm("patch_embed.seq.0", dims[0] // 2, 3, kernel),
        **_conv_norm("patch_embed.seq.2", dims[0], dims[0] // 2, kernel),
    }
    for stage, dim in enumerate(dims):
        for block in range(config.depths[stage]):
            tensors = _mb_conv(dim, config) if stage == 0 else _tiny_block(stage, config)
            if stage > 0:
                tensors |= _bypass(sum(config.depths[1:stage]) + block, dim, config)
            shapes.update(_under(f"layers.{stage}.blocks.{block}", tensors))
        if stage + 1 < len(dims):
            merging = _bottleneck(dim, dims[stage + 1], dims[stage + 1])
            shapes.update(_under(f"layers.{stage}.downsample", merging))
    return {**shapes, **_neck(dims[-1])}


def _conv_norm(name: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    return {
        f"{name}.c.weight": (outputs, inputs, kernel, kernel),
        **_batch_norm(f"{name}.bn", outputs),
    }


def _bottleneck(inputs: int, hidden: int, outputs: int) -> Shapes:
    """1x1, depthwise 3x3, 1x1."""
    return {
        **_conv_norm("conv1", hidden, inputs, 1),
        **_conv_norm("conv2", hidden, 1, 3),
        **_conv_norm("conv3", outputs, hidden, 1),
    }


def _mb_conv(dim: int, config: TinyVitConfig) -> Shapes:
    return _bottleneck(dim, int(dim * config.mbconv_expand_ratio), dim)


def _tiny_block(stage: int, config: TinyVitConfig) -> Shapes:
    dim = config.embed_dims[stage]
    hidden = int(dim * config.mlp_ratio)
    offsets = config.window_sizes[stage] ** 2
    return {
        "attn.attention_biases": (config.num_heads[stage], offsets),
        **_layer("attn.norm", dim),
        **_layer("attn.qkv", 3 * dim, dim),
        **_layer("attn.proj", dim, dim),
        **_conv_norm("local_conv", dim, 1, 3),
        **_layer("mlp.norm", dim),
        **_layer("mlp.fc1", hidden, dim),
        **_layer("mlp.fc2", dim, hidden),
    }


def _bypass(block: int, dim: int, config: EncoderConfig) -> Shapes:
    """The AdaptFormer tensors of a block, counted over all blocks with attention, if it has any."""
    if config.adaptformer is None or block not in config.adaptformer.blocks:
        return {}
    projection = config.adaptformer.projection
    return {
        "mlp.adaptformer_alpha": (1,),
        **_layer("mlp.adaptformer_down", projection, dim),
        **_layer("mlp.adaptformer_up", dim, projection),
    }


def _prompt_encoder(config: MaskDecoderConfig) -> Shapes:
    channels, inner = EMBEDDING_CHANNELS, config.mask_in_chans
    names = ["not_a_point_embed", "no_mask_embed"]
    names += [f"point_embeddings.{i}" for i in range(POINT_EMBEDDINGS)]
    return {
        "pe_layer.positional_encoding_gaussian_matrix": (2, channels // 2),
        **{f"{name}.weight": (1, channels) for name in names},
        **_layer("mask_downscaling.0", inner // 4, 1, 2, 2),
        **_layer("mask_downscaling.1", inner // 4),
        **_layer("mask_downscaling.3", inner, inner // 4, 2, 2),
        **_layer("mask_downscaling.4", inner),
        **_layer("mask_downscaling.6", channels, inner, 1, 1),
    }


def _mask_decoder(config: MaskDecoderConfig) -> Shapes:
    channels, tokens = EMBEDDING_CHANNELS, config.num_multimask_outputs + 1
    shapes: Shapes = {
        "iou_token.weight": (1, channels),
        "mask_tokens.weight": (tokens, channels),
        **_layer("output_upscaling.0", channels, channels // 4, 2, 2, outputs=channels // 4),
        **_layer("output_upscaling.1", channels // 4),
        **_layer("output_upscaling.3", channels // 4, channels // 8, 2, 2, outputs=channels // 8),
        **_mlp("iou_prediction_head", config.iou_head_hidden_dim, config.iou_head_depth, tokens),
        **_attention("transformer.final_attn_token_to_image", ATTENTION_DOWNSAMPLING),
        **_layer("transformer.norm_final_attn", channels),
    }
    for token in range(tokens):
        shapes.update(_mlp(f"output_hypernetworks_mlps.{token}", channels, 3, channels // 8))
    for layer in range(config.transformer_depth):
        tensors = {
            **_attention("self_attn", 1),
            **_attention("cross_attn_token_to_image", ATTENTION_DOWNSAMPLING),
            **_attention("cross_attn_image_to_token", ATTENTION_DOWNSAMPLING),
            **_layer("mlp.lin1", config.transformer_mlp_dim, channels),
            **_layer("mlp.lin2", channels, config.transformer_mlp_dim),
        }
        for norm in range(1, 5):
            tensors.update(_layer(f"norm{norm}", channels))
        shapes.update(_under(f"transformer.layers.{layer}", tensors))
    return shapes


def _attention(name: str, downsampling: int) -> Shapes:
    channels, inner = EMBEDDING_CHANNELS, EMBEDDING_CHANNELS // downsampling
    return {
        **_layer(f"{name}.q_proj", inner, channels),
        **_layer(f"{name}.k_proj", inner, channels),
        **_layer(f"{name}.v_proj", inner, channels),
        **_layer(f"{name}.out_proj", channels, inner),
    }


def _mlp(name: str, hidden: int, depth: int, outputs: int) -> Shapes:
    sizes = [EMBEDDING_CHANNELS, *[hidden] * (depth - 1), outputs]
    shapes: Shapes = {}
    for layer in range(depth):
        shapes.update(_layer(f"{name}.layers.{layer}", sizes[layer + 1], sizes[layer]))
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
        shapes.update(_layer(f"{name}.0", outputs, inputs, kernel, kernel))
        shapes.update(_layer(f"{name}.1", outputs))
    return {**shapes, **_layer("head", len(AIS_CHANNELS), third, 1, 1)}


def _unetr(config: UnetrDecoderConfig) -> Shapes:
    features, last = config.features, config.features[-1]
    sides = [EMBEDDING_CHANNELS, *features]
    shapes = {
        **_two_convolutions("base", EMBEDDING_CHANNELS, features[0]),
        **_sampler("deconv_out", last, last, config),
        **_two_convolutions("decoder_head", 2 * last, last),
        **_layer("out_conv", len(AIS_CHANNELS), last, 1, 1),
    }
    for level, (inputs, outputs) in enumerate(pairwise(sides), start=1):
        name = f"deconv{level}.block"
        shapes.update(_sampler(f"{name}.0", inputs, outputs, config))
        shapes.update(_layer(f"{name}.1.block", outputs, outputs, 3, 3))
        shapes.update(_batch_norm(f"{name}.2", outputs))
    for level, (inputs, outputs) in enumerate(pairwise(features)):
        # `outputs` come from below, as many are taken from the other path.
        shapes.update(_two_convolutions(f"decoder.blocks.{level}", 2 * outputs, outputs))
        shapes.update(_sampler(f"decoder.samplers.{level}", inputs, outputs, config))
    return shapes


def _two_convolutions(name: str, inputs: int, outputs: int) -> Shapes:
    return {
        **_layer(f"{name}.block.1", outputs, inputs, 3, 3),
        **_layer(f"{name}.block.4", outputs, outputs, 3, 3),
    }


def _sampler(name: str, inputs: int, outputs: int, config: UnetrDecoderConfig) -> Shapes:
    if config.upsampling == "transposed":
        return _layer(f"{name}.block", inputs, outputs, 2, 2, outputs=outputs)
    return _layer(f"{name}.conv", outputs, inputs, 1, 1)
