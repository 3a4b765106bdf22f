"""The networks of a model in numbers: encoder, mask decoder, AIS decoder.

In: numbers. Out: frozen, checked dataclasses, which ``config.py`` puts into a ``ModelConfig``. No
other module defines an image size or a channel order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from samzoo.runtime.errors import FormatError

AIS_CHANNELS = ("foreground", "center_distances", "boundary_distances")
"""Channel order of the AIS decoder's output; boundary distances are inverted (1 at the border)."""

MAX_IMAGE_SIZE = 4096
"""Largest side of an encoder's input, four times SAM's (own choice: configs are not trusted)."""

EMBEDDING_CHANNELS = 256
"""Channels of the image embeddings and of the mask decoder in every SAM."""

MASK_PIXELS = 4
"""Mask pixels to one pixel of the image embeddings, on a side. Source: segment-anything,
``mask_decoder.py``, whose upscaling doubles twice."""


@dataclass(frozen=True, kw_only=True)
class AdaptFormerConfig:
    """Bottlenecks beside the MLPs of some blocks, which AdaptFormer trains and which do not fold.

    ``projection`` is their width, ``blocks`` the blocks that have one, counted from 0 over all
    blocks with attention. ``identity`` leaves out the second sum with the MLP's input; see
    ``samzoo.training.methods.adaptformer``.
    """

    projection: int = 64
    blocks: tuple[int, ...] = ()
    identity: bool = False

    def __post_init__(self) -> None:
        _positive(self, "projection", where="image_encoder.adaptformer")
        if not self.blocks or list(self.blocks) != sorted({b for b in self.blocks if b >= 0}):
            raise FormatError(
                "image_encoder.adaptformer.blocks: expected different block indices from 0, "
                f"sorted, found {list(self.blocks)}"
            )


@dataclass(frozen=True, kw_only=True)
class VitConfig:
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
        _positive(
            self, "image_size", "patch_size", "embed_dim", "depth", "num_heads", "mlp_ratio",
            "window_size",
        )  # fmt: skip
        if self.embed_dim % self.num_heads:
            raise FormatError(
                f"image_encoder: embed_dim {self.embed_dim} is not a multiple of "
                f"num_heads {self.num_heads}"
            )
        _check_sides(self.image_size, self.grid)
        _check_adaptformer(self.adaptformer, self.depth)

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        return self.image_size // self.patch_size


@dataclass(frozen=True, kw_only=True)
class TinyVitConfig:
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
        _positive(
            self, "image_size", "patch_kernel", "patch_stride", "embed_dims", "depths",
            "num_heads", "window_sizes", "strides", "mlp_ratio", "mbconv_expand_ratio",
        )  # fmt: skip
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
        _check_sides(self.image_size, self.grid)
        _check_adaptformer(self.adaptformer, sum(self.depths[1:]))

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        side = self.image_size // self.patch_stride**2
        for stride in self.strides:
            side //= stride
        return side


EncoderConfig = VitConfig | TinyVitConfig


@dataclass(frozen=True, kw_only=True)
class MaskDecoderConfig:
    """Prompt encoder and mask decoder in numbers. Source: segment-anything, ``build_sam.py``.

    ``point_output`` says which mask answers a single point: ``multimask`` takes the best of the
    three by predicted IoU, since SAM's points are ambiguous; ``single`` takes the first output, as
    for all other prompts, for a model finetuned on one kind of object.
    """

    mask_in_chans: int = 16
    num_multimask_outputs: int = 3
    transformer_depth: int = 2
    transformer_mlp_dim: int = 2048
    transformer_num_heads: int = 8
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    point_output: Literal["multimask", "single"] = "multimask"


@dataclass(frozen=True, kw_only=True)
class LightDecoderConfig:
    """The light AIS decoder: ``channels`` at the embedding's grid, then at 2x, then at 4x."""

    type: Literal["light"] = "light"
    channels: tuple[int, int, int] = (128, 64, 32)


@dataclass(frozen=True, kw_only=True)
class UnetrDecoderConfig:
    """micro-sam's AIS decoder: torch-em's ``UNETR`` without skip connections.

    ``features`` are the channels at the embedding's grid, at 2x, 4x and 8x; the maps have 16x the
    grid. ``upsampling`` says how the sides double: ``transposed`` (2x2 transposed convolutions) or
    ``bilinear`` (interpolation, then a 1x1 convolution). ``batch_norm`` says which statistics the
    BatchNorm layers use: ``running`` those stored in the weights; ``batch`` those of the current
    image, which reproduces micro-sam's command line: it never puts the decoder into eval mode.
    samzoo's training leaves stored statistics alone; a fresh decoder has mean 0 and variance 1.

    Source: torch-em 0.10.9, ``model/unetr.py``; micro-sam 1.8.14, ``instance_segmentation.py``.
    """

    type: Literal["unetr"] = "unetr"
    features: tuple[int, int, int, int] = (512, 256, 128, 64)
    upsampling: Literal["bilinear", "transposed"] = "bilinear"
    batch_norm: Literal["running", "batch"] = "running"

    def __post_init__(self) -> None:
        _positive(self, "features", where="ais_decoder")
        if list(self.features) != sorted(self.features, reverse=True):
            raise FormatError(
                f"ais_decoder.features: must not grow from one level to the next, found "
                f"{self.features}"
            )


AisDecoderConfig = LightDecoderConfig | UnetrDecoderConfig


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All networks of a model."""

    image_encoder: EncoderConfig
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    ais_decoder: AisDecoderConfig | None = None


def _positive(config: object, *names: str, where: str = "image_encoder") -> None:
    for name in names:
        value = getattr(config, name)
        if any(number <= 0 for number in (value if isinstance(value, tuple) else (value,))):
            raise FormatError(f"{where}.{name}: must be positive, found {value}")


def _check_sides(image_size: int, grid: int) -> None:
    if image_size > MAX_IMAGE_SIZE or grid < 1:
        raise FormatError(
            f"image_encoder.image_size: found {image_size}, which makes embeddings of {grid} x "
            f"{grid}; allowed are sizes up to {MAX_IMAGE_SIZE} and embeddings from 1 x 1"
        )


def _check_adaptformer(config: AdaptFormerConfig | None, blocks: int) -> None:
    if config is not None and config.blocks[-1] >= blocks:
        raise FormatError(
            f"image_encoder.adaptformer.blocks: there are blocks 0 to {blocks - 1}, found "
            f"{config.blocks[-1]}"
        )
