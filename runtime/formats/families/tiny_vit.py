"""TinyViT: its numbers, its shapes from the numbers, and its numbers from the shapes.

The weights do not show the image size, the strides of the patch mergings, or the (unused) heads and
window of the first stage. Detection uses the published models' constants for these; it cannot
detect a network that differs in them.

Source: MobileSAM, ``modeling/tiny_vit_sam.py``; LiteMedSAM has the same network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from samzoo.runtime.errors import FormatError

from .encoder import (
    AdaptFormerConfig,
    EncoderConfig,
    check_adaptformer,
    check_layers,
    check_positive,
    check_sides,
)
from .family import Family
from .layer_shapes import Shapes, batch_norm, bypass, layer, under
from .shape_reading import ShapeReader, ratio_of

TINY_VIT_GRID = 64
"""Side of the embeddings of MobileSAM and LiteMedSAM. A TinyViT has no position embedding, so its
weights fit any image size; the decoders were trained at this one. Source: MobileSAM,
``build_sam.py``; LiteMedSAM, ``train_one_gpu.py``."""

STRIDE_1_CHANNELS = (320, 448, 576)
"""A patch merging whose output has one of these numbers of channels keeps the grid. Source:
MobileSAM, ``tiny_vit_sam.py``, ``PatchMerging``; the stride is not in the weights."""

MAX_WINDOW = 32
"""Largest window of an attention. Building one costs the fourth power of its window.
Published models have windows up to 14, so a larger one than 32 means a damaged or hostile file (own
choice)."""

MOBILE_SAM_CLASSES = 1000
"""Classes of the head that MobileSAM's TinyViT keeps from its pretraining. MobileSAM loads
strictly, so the file must have the head. Source: MobileSAM, ``build_sam.py``."""


@dataclass(frozen=True, kw_only=True)
class TinyVitConfig(EncoderConfig):
    """TinyViT as MobileSAM and LiteMedSAM use it. Defaults: LiteMedSAM at 256 pixels.

    ``patch_kernel`` 3 and ``patch_stride`` 2 make MobileSAM's stem (1024 pixels), 1 and 1
    LiteMedSAM's. ``strides`` are those of the three patch mergings.
    """

    type: Literal["tiny_vit"] = "tiny_vit"
    image_size: int = 256
    patch_kernel: int = 1
    patch_stride: int = 1
    embed_dims: tuple[int, ...] = (64, 128, 160, 320)
    depths: tuple[int, ...] = (2, 2, 6, 2)
    num_heads: tuple[int, ...] = (2, 4, 5, 10)
    window_sizes: tuple[int, ...] = (7, 7, 14, 7)
    strides: tuple[int, ...] = (2, 2, 1)
    mlp_ratio: float = 4.0
    mbconv_expand_ratio: float = 4.0
    adaptformer: AdaptFormerConfig | None = None

    def __post_init__(self) -> None:
        check_positive(
            self, "image_size", "patch_kernel", "patch_stride", "embed_dims", "depths",
            "num_heads", "window_sizes", "strides", "mlp_ratio", "mbconv_expand_ratio",
        )  # fmt: skip
        check_layers(self, "depths", "num_heads")
        if max(self.window_sizes) > MAX_WINDOW:
            raise FormatError(
                f"image_encoder.window_sizes: found {list(self.window_sizes)}, allowed are sizes "
                f"up to {MAX_WINDOW}"
            )
        stages = len(self.embed_dims)
        for name, expected in (
            ("depths", stages), ("num_heads", stages), ("window_sizes", stages),
            ("strides", stages - 1),
        ):  # fmt: skip
            if len(getattr(self, name)) != expected:
                raise FormatError(
                    f"image_encoder.{name}: expected {expected} numbers for {stages} stages, "
                    f"found {len(getattr(self, name))}"
                )
        check_sides(self.image_size, self.grid)
        check_adaptformer(self.adaptformer, sum(self.depths[1:]))

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        side = self.image_size // self.patch_stride**2
        for stride in self.strides:
            side //= stride
        return side

    @property
    def channels(self) -> int:
        """Channels of the last block."""
        return self.embed_dims[-1]


def tiny_vit_shapes(config: TinyVitConfig) -> Shapes:
    """List the tensors of a TinyViT but for its neck."""
    dims, kernel = config.embed_dims, config.patch_kernel
    shapes = {
        **_conv_norm("patch_embed.seq.0", dims[0] // 2, 3, kernel),
        **_conv_norm("patch_embed.seq.2", dims[0], dims[0] // 2, kernel),
    }
    for stage, dim in enumerate(dims):
        for block in range(config.depths[stage]):
            tensors = _mb_conv(dim, config) if stage == 0 else _tiny_block(stage, config)
            if stage > 0:
                tensors |= bypass(sum(config.depths[1:stage]) + block, dim, config)
            shapes.update(under(f"layers.{stage}.blocks.{block}", tensors))
        if stage + 1 < len(dims):
            merging = _bottleneck(dim, dims[stage + 1], dims[stage + 1])
            shapes.update(under(f"layers.{stage}.downsample", merging))
    return shapes


def _conv_norm(name: str, outputs: int, inputs: int, kernel: int) -> Shapes:
    return {
        f"{name}.c.weight": (outputs, inputs, kernel, kernel),
        **batch_norm(f"{name}.bn", outputs),
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
        **layer("attn.norm", dim),
        **layer("attn.qkv", 3 * dim, dim),
        **layer("attn.proj", dim, dim),
        **_conv_norm("local_conv", dim, 1, 3),
        **layer("mlp.norm", dim),
        **layer("mlp.fc1", hidden, dim),
        **layer("mlp.fc2", dim, hidden),
    }


def detect_tiny_vit(shapes: ShapeReader) -> TinyVitConfig:
    """Read the numbers of a TinyViT from its shapes.

    Raises:
        FormatError: A tensor is missing or has a shape that no supported TinyViT has.
    """
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
        hidden, _ = shapes.of(f"{root}.layers.1.blocks.0.mlp.fc1.weight", None, dims[1])
        ratio = ratio_of(hidden, dims[1])
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
        mbconv_expand_ratio=ratio_of(expanded, dims[0]),
    )


def _block_names(config: TinyVitConfig) -> list[str]:
    """List the blocks of all stages but the first, which has no attention."""
    return [
        f"layers.{stage}.blocks.{block}"
        for stage, depth in enumerate(config.depths)
        if stage > 0
        for block in range(depth)
    ]


def _unused(config: TinyVitConfig) -> Shapes:
    """List the classification head that MobileSAM's network has and never uses."""
    if config.patch_kernel == 1:
        return {}
    return {
        **layer("norm_head", config.channels),
        **layer("head", MOBILE_SAM_CLASSES, config.channels),
    }


TINY_VIT = Family(
    config=TinyVitConfig,
    noun="TinyViT",
    known_from="MobileSAM, LiteMedSAM",
    mark="layers.",
    shapes=tiny_vit_shapes,
    detect=detect_tiny_vit,
    block_names=_block_names,
    # Convolutions (stem, first stage, `local_conv` in each block, patch merging) have no
    # counterpart in a ViT and stay frozen.
    layers={
        "norm1": "attn.norm",
        "qkv": "attn.qkv",
        "proj": "attn.proj",
        "norm2": "mlp.norm",
        "lin1": "mlp.fc1",
        "lin2": "mlp.fc2",
    },
    # q, k and v of head 0, then of head 1, and so on.
    qkv_groups=lambda config, layer: config.num_heads[int(layer.split(".")[1])],
    sizes=("vit_t",),
    size=lambda config: "vit_t",
    unit_range=lambda config: config.patch_kernel == 1,
    unused=_unused,
    unused_marks=("norm_head.", "head."),
)
