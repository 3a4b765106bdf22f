"""Detection of a SAM's architecture and preprocessing from the names and shapes of its weights.

In: tensors by the original SAM key names (anything with a ``shape``). Out: an ``Architecture`` and
its ``Preprocessing``. File names play no part.

The weights do not show the number of heads of the mask decoder's attention. For a TinyViT they do
not show the image size, the strides of the patch mergings, or the (unused) heads and window of the
first stage either. This module uses the published models' constants for all of these; it cannot
detect a network that differs in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    AisDecoderConfig,
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    TinyVitConfig,
    UnetrDecoderConfig,
    VitConfig,
)
from samzoo.runtime.formats.config import Preprocessing

SUPPORTED = (
    "supported are SAM's image_encoder/prompt_encoder/mask_decoder with a ViT "
    "(segment-anything: image_encoder.blocks.*) or a TinyViT "
    "(MobileSAM, LiteMedSAM: image_encoder.layers.*)"
)

TINY_VIT_GRID = 64
"""Side of the embeddings of MobileSAM and LiteMedSAM. A TinyViT has no position embedding, so its
weights fit any image size; the decoders were trained at this one. Source: MobileSAM,
``build_sam.py``; LiteMedSAM, ``train_one_gpu.py``."""

STRIDE_1_CHANNELS = (320, 448, 576)
"""A patch merging whose output has one of these numbers of channels keeps the grid. Source:
MobileSAM, ``tiny_vit_sam.py``, ``PatchMerging``; the stride is not in the weights."""

TRANSFORMER_HEADS = 8
"""Heads of the mask decoder's attention. Source: segment-anything, ``build_sam.py``; the shapes
are the same for any number of heads."""

MAX_WINDOW = 32
"""Largest window of an attention. Building one costs the fourth power of its window.
Published models have windows up to 14, so a larger one than 32 means a damaged or hostile file (own
choice)."""


def architecture_of(tensors: Mapping[str, Any], *, where: str = "weights") -> Architecture:
    """Describe the networks that a set of weights belongs to.

    This reads only the tensors whose shapes give a number. ``convert`` checks that all others fit
    the network.

    Args:
        tensors: Arrays by the original SAM key names.
        where: The file, for messages.

    Returns:
        The networks in numbers; with an AIS decoder if there are tensors ``ais_decoder.*``.

    Raises:
        FormatError: A tensor is missing or has a shape that no supported network has.
    """
    shapes = _Shapes(tensors, where)
    encoder: VitConfig | TinyVitConfig
    if any(name.startswith("image_encoder.blocks.") for name in tensors):
        encoder = _vit(shapes)
    elif any(name.startswith("image_encoder.layers.") for name in tensors):
        encoder = _tiny_vit(shapes)
    else:
        found = ", ".join(shown(name, limit=60) for name in list(tensors)[:3]) or "no tensors"
        raise FormatError(f"{where}: not the weights of a known SAM, found {found}; {SUPPORTED}")
    shapes.of("image_encoder.neck.0.weight", EMBEDDING_CHANNELS, None, 1, 1)
    return Architecture(
        image_encoder=encoder,
        mask_decoder=_mask_decoder(shapes),
        ais_decoder=_ais_decoder(shapes),
    )


def preprocessing_of(architecture: Architecture) -> Preprocessing:
    """Return the preprocessing that the published model of this architecture was trained with.

    Args:
        architecture: The networks in numbers.

    Returns:
        SAM's pixel statistics for a ViT and for MobileSAM's stem. For LiteMedSAM's stem (1x1
        convolutions): from the image's minimum and maximum to [0, 1], which is ``min_max`` to
        0..255 and then a division by 255, and no statistics. With micro-sam's AIS decoder:
        ``min_max`` and SAM's statistics (micro-sam stretches each channel of a color image by
        itself and cuts to whole numbers).

    Source:
        segment-anything, ``build_sam.py``. LiteMedSAM (Ma et al., 2024),
        ``CVPR24_LiteMedSAM_infer.py``: longest side to 256, min-max, zero padding. micro-sam
        1.8.14, ``util.py``, ``_to_image``.
    """
    encoder = architecture.image_encoder
    if isinstance(encoder, TinyVitConfig) and encoder.patch_kernel == 1:
        return Preprocessing(
            intensity="min_max", pixel_mean=(0.0, 0.0, 0.0), pixel_std=(255.0, 255.0, 255.0)
        )
    if isinstance(architecture.ais_decoder, UnetrDecoderConfig):
        return Preprocessing(intensity="min_max")
    return Preprocessing()


@dataclass(frozen=True)
class _Shapes:
    """The shapes of a file's tensors, with checked look-ups."""

    tensors: Mapping[str, Any]
    where: str

    def of(self, name: str, *expected: int | None) -> tuple[int, ...]:
        """Return a tensor's shape; None in ``expected`` allows any size of at least 1."""
        if name not in self.tensors:
            raise FormatError(f"{self.where}: lacks the tensor {shown(name)}; {SUPPORTED}")
        shape = tuple(int(size) for size in self.tensors[name].shape)
        allowed = "(" + ", ".join("any" if size is None else str(size) for size in expected) + ")"
        if len(shape) != len(expected) or any(
            size < 1 or size != (want or size) for size, want in zip(shape, expected, strict=True)
        ):
            self.refuse(name, f"shape {shape}", f"the shape {allowed}")
        return shape

    def refuse(self, name: str, found: str, allowed: str) -> None:
        raise FormatError(
            f"{self.where}: tensor {shown(name)}: found {found}, allowed is {allowed}"
        )

    def count(self, prefix: str) -> int:
        """Count the numbered children of a module list; they must be 0, 1, 2 and so on."""
        found = {
            name[len(prefix) :].split(".", 1)[0] for name in self.tensors if name.startswith(prefix)
        }
        for index in range(len(found)):
            if str(index) not in found:
                example = shown(prefix + min(found), limit=80)
                raise FormatError(
                    f"{self.where}: lacks {prefix}{index}.* although there is {example}; "
                    f"{SUPPORTED}"
                )
        if not found:
            raise FormatError(f"{self.where}: lacks {prefix}0.*; {SUPPORTED}")
        return len(found)


def _vit(shapes: _Shapes) -> VitConfig:
    root = "image_encoder"
    dim, _, patch, patch_w = shapes.of(f"{root}.patch_embed.proj.weight", None, 3, None, None)
    if patch != patch_w:
        shapes.refuse(f"{root}.patch_embed.proj.weight", f"{patch} x {patch_w}", "a square patch")
    _, grid, grid_w, _ = shapes.of(f"{root}.pos_embed", 1, None, None, dim)
    if grid != grid_w:
        shapes.refuse(f"{root}.pos_embed", f"a grid of {grid} x {grid_w}", "a square grid")
    depth = shapes.count(f"{root}.blocks.")
    hidden, _ = shapes.of(f"{root}.blocks.0.mlp.lin1.weight", None, dim)
    _, head_dim = shapes.of(f"{root}.blocks.0.attn.rel_pos_h", None, None)
    if dim % head_dim:
        shapes.refuse(
            f"{root}.blocks.0.attn.rel_pos_h", f"{head_dim} channels a head", f"a divisor of {dim}"
        )
    global_blocks: list[int] = []
    windows: dict[int, str] = {}
    for block in range(depth):
        # 2 * side - 1 offsets, where side is the grid (global attention) or the window. A window as
        # large as the grid is taken for global attention, which computes the same.
        name = f"{root}.blocks.{block}.attn.rel_pos_h"
        length, _ = shapes.of(name, None, head_dim)
        if length == 2 * grid - 1:
            global_blocks.append(block)
        elif length % 2 == 0 or length > 2 * grid - 1:
            shapes.refuse(name, f"{length} offsets", f"an odd number up to {2 * grid - 1}")
        else:
            windows.setdefault((length + 1) // 2, name)
    if len(windows) > 1:
        sides = ", ".join(str(side) for side in sorted(windows))
        shapes.refuse(windows[max(windows)], f"windows of {sides}", "one window for all blocks")
    return VitConfig(
        image_size=grid * patch,
        patch_size=patch,
        embed_dim=dim,
        depth=depth,
        num_heads=dim // head_dim,
        mlp_ratio=hidden / dim,
        # If all blocks are global, no window is used; segment-anything's constant stands here.
        window_size=next(iter(windows), VitConfig.window_size),
        global_attn_indexes=tuple(global_blocks),
    )


def _tiny_vit(shapes: _Shapes) -> TinyVitConfig:
    root = "image_encoder"
    stages = shapes.count(f"{root}.layers.")
    stem = f"{root}.patch_embed.seq.0.c.weight"
    _, _, kernel, _ = shapes.of(stem, None, 3, None, None)
    if kernel not in (1, 3):
        shapes.refuse(stem, f"a kernel of {kernel}", "1 (LiteMedSAM) or 3 (MobileSAM)")
    first, _, _, _ = shapes.of(f"{root}.patch_embed.seq.2.c.weight", None, None, kernel, kernel)
    dims, strides, depths = [first], [], []
    # The first stage has no attention, so no tensor shows its heads and window, and nothing uses
    # them. The config has the published numbers.
    heads, windows = [TinyVitConfig.num_heads[0]], [TinyVitConfig.window_sizes[0]]
    for stage in range(stages):
        depths.append(shapes.count(f"{root}.layers.{stage}.blocks."))
        if stage > 0:
            name = f"{root}.layers.{stage}.blocks.0.attn.attention_biases"
            stage_heads, offsets = shapes.of(name, None, None)
            window = round(offsets**0.5)
            if window**2 != offsets or window > MAX_WINDOW:
                shapes.refuse(name, f"{offsets} offsets", f"a square up to {MAX_WINDOW}**2")
            heads.append(stage_heads)
            windows.append(window)
        if stage < stages - 1:
            name = f"{root}.layers.{stage}.downsample.conv1.c.weight"
            dims.append(shapes.of(name, None, dims[-1], 1, 1)[0])
            strides.append(1 if dims[-1] in STRIDE_1_CHANNELS else 2)
    expanded, _, _, _ = shapes.of(f"{root}.layers.0.blocks.0.conv1.c.weight", None, dims[0], 1, 1)
    ratio = TinyVitConfig.mlp_ratio
    if stages > 1:
        ratio = shapes.of(f"{root}.layers.1.blocks.0.mlp.fc1.weight", None, dims[1])[0] / dims[1]
    stem_stride = 2 if kernel == 3 else 1
    side = TINY_VIT_GRID * stem_stride**2
    for stride in strides:
        side *= stride
    return TinyVitConfig(
        image_size=side,
        patch_kernel=kernel,
        patch_stride=stem_stride,
        embed_dims=tuple(dims),
        depths=tuple(depths),
        num_heads=tuple(heads),
        window_sizes=tuple(windows),
        strides=tuple(strides),
        mlp_ratio=ratio,
        mbconv_expand_ratio=expanded / dims[0],
    )


def _mask_decoder(shapes: _Shapes) -> MaskDecoderConfig:
    channels = EMBEDDING_CHANNELS
    _, mask_in_chans, _, _ = shapes.of(
        "prompt_encoder.mask_downscaling.6.weight", channels, None, 1, 1
    )
    tokens, _ = shapes.of("mask_decoder.mask_tokens.weight", None, channels)
    if tokens < 2:
        shapes.refuse("mask_decoder.mask_tokens.weight", f"{tokens} tokens", "at least 2")
    mlp_dim, _ = shapes.of("mask_decoder.transformer.layers.0.mlp.lin1.weight", None, channels)
    iou_depth = shapes.count("mask_decoder.iou_prediction_head.layers.")
    hidden = MaskDecoderConfig.iou_head_hidden_dim  # a head of one layer has none
    if iou_depth > 1:
        hidden, _ = shapes.of("mask_decoder.iou_prediction_head.layers.0.weight", None, channels)
    return MaskDecoderConfig(
        mask_in_chans=mask_in_chans,
        num_multimask_outputs=tokens - 1,
        transformer_depth=shapes.count("mask_decoder.transformer.layers."),
        transformer_mlp_dim=mlp_dim,
        transformer_num_heads=TRANSFORMER_HEADS,
        iou_head_depth=iou_depth,
        iou_head_hidden_dim=hidden,
    )


def _ais_decoder(shapes: _Shapes) -> AisDecoderConfig | None:
    root, channels = "ais_decoder", EMBEDDING_CHANNELS
    names = [name for name in shapes.tensors if name.startswith(f"{root}.")]
    if not names:
        return None
    if f"{root}.reduce.0.weight" in names:
        first, _, _, _ = shapes.of(f"{root}.reduce.0.weight", None, channels, 1, 1)
        second, _, _, _ = shapes.of(f"{root}.up1.0.0.weight", None, first, 3, 3)
        third, _, _, _ = shapes.of(f"{root}.up2.0.weight", None, second, 3, 3)
        return LightDecoderConfig(channels=(first, second, third))
    features: list[int] = []
    for level in range(1, 5):
        size, _, _, _ = shapes.of(f"{root}.deconv{level}.block.1.block.weight", None, None, 3, 3)
        if features and size > features[-1]:
            name = f"{root}.deconv{level}.block.1.block.weight"
            shapes.refuse(
                name, f"{size} channels", f"at most the {features[-1]} of the level below"
            )
        features.append(size)
    shapes.of(f"{root}.out_conv.weight", len(AIS_CHANNELS), features[3], 1, 1)
    # micro-sam tells them apart in the same way: a transposed convolution is called `block`.
    transposed = any(name.startswith(f"{root}.decoder.samplers.0.block.") for name in names)
    return UnetrDecoderConfig(
        features=(features[0], features[1], features[2], features[3]),
        upsampling="transposed" if transposed else "bilinear",
    )
