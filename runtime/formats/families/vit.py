"""SAM's own ViT: its numbers, its shapes from the numbers, and its numbers from the shapes.

Source: segment-anything 1.0, ``modeling/image_encoder.py``.
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
from .layer_shapes import Shapes, bypass, layer, under
from .shape_reading import ShapeReader, ratio_of

VIT_SIZES = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}
"""segment-anything's names by the ViT's width. Source: segment-anything 1.0, ``build_sam.py``."""


@dataclass(frozen=True, kw_only=True)
class VitConfig(EncoderConfig):
    """Segment-anything's ``ImageEncoderViT`` in numbers. Defaults: ViT-B."""

    type: Literal["vit"] = "vit"
    image_size: int = 1024
    patch_size: int = 16
    embed_dim: int = 768
    depth: int = 12
    num_heads: int = 12
    mlp_ratio: float = 4.0
    window_size: int = 14
    global_attn_indexes: tuple[int, ...] = (2, 5, 8, 11)
    adaptformer: AdaptFormerConfig | None = None

    def __post_init__(self) -> None:
        check_positive(
            self, "image_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio",
            "window_size",
        )  # fmt: skip
        check_layers(self, "depth", "num_heads", "global_attn_indexes")
        if self.embed_dim % self.num_heads:
            raise FormatError(
                f"image_encoder: embed_dim {self.embed_dim} is not a multiple of "
                f"num_heads {self.num_heads}"
            )
        check_sides(self.image_size, self.grid)
        check_adaptformer(self.adaptformer, self.depth)

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        return self.image_size // self.patch_size

    @property
    def channels(self) -> int:
        """Channels of the last block."""
        return self.embed_dim


def vit_shapes(config: VitConfig) -> Shapes:
    """List the tensors of a ViT but for its neck."""
    dim, grid, patch = config.embed_dim, config.grid, config.patch_size
    hidden, head = int(dim * config.mlp_ratio), dim // config.num_heads
    shapes: Shapes = {
        "pos_embed": (1, grid, grid, dim),
        **layer("patch_embed.proj", dim, 3, patch, patch),
    }
    for block in range(config.depth):
        side = grid if block in config.global_attn_indexes else config.window_size
        tensors = {
            **layer("norm1", dim),
            **layer("attn.qkv", 3 * dim, dim),
            **layer("attn.proj", dim, dim),
            **{f"attn.rel_pos_{axis}": (2 * side - 1, head) for axis in "hw"},
            **layer("norm2", dim),
            **layer("mlp.lin1", hidden, dim),
            **layer("mlp.lin2", dim, hidden),
            **bypass(block, dim, config),
        }
        shapes.update(under(f"blocks.{block}", tensors))
    return shapes


def detect_vit(shapes: ShapeReader) -> VitConfig:
    """Read the numbers of a ViT from its shapes.

    Raises:
        FormatError: A tensor is missing or has a shape that no supported ViT has.
    """
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
        mlp_ratio=ratio_of(hidden, dim),
        # If all blocks are global, no window is used; segment-anything's constant stands here.
        window_size=next(iter(windows), VitConfig.window_size),
        global_attn_indexes=tuple(global_blocks),
    )


def vit_of(config: EncoderConfig) -> VitConfig | None:
    """Return the numbers of SAM's own ViT, or None: many tools build no other encoder."""
    return config if isinstance(config, VitConfig) else None


VIT = Family(
    config=VitConfig,
    noun="ViT",
    known_from="segment-anything",
    mark="blocks.",
    shapes=vit_shapes,
    detect=detect_vit,
    block_names=lambda config: [f"blocks.{block}" for block in range(config.depth)],
    layers={
        "norm1": "norm1",
        "qkv": "attn.qkv",
        "proj": "attn.proj",
        "norm2": "norm2",
        "lin1": "mlp.lin1",
        "lin2": "mlp.lin2",
    },
    qkv_groups=lambda config, layer: 1,
    sizes=tuple(VIT_SIZES.values()),
    size=lambda config: VIT_SIZES.get(config.embed_dim, ""),
    unit_range=lambda config: False,
    unused=lambda config: {},
)
