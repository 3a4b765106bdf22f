"""The networks of a model in numbers: encoder, mask decoder, AIS decoder.

In: numbers. Out: frozen, checked dataclasses, which ``config.py`` puts into a ``ModelConfig``. No
other module defines an image size or a channel order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.families.encoder import EncoderConfig, check_layers, check_positive
from samzoo.runtime.formats.families.table import config_classes

from .fields import IF_SET, KINDS

AIS_CHANNELS = ("foreground", "center_distances", "boundary_distances")
"""Channel order of the AIS decoder's output; boundary distances are inverted (1 at the border)."""

EMBEDDING_CHANNELS = 256
"""Channels of the image embeddings and of the mask decoder in every SAM."""

MASK_PIXELS = 4
"""Mask pixels to one pixel of the image embeddings, on a side. Source: segment-anything,
``mask_decoder.py``, whose upscaling doubles twice."""


@dataclass(frozen=True, kw_only=True)
class MaskDecoderConfig:
    """Prompt encoder and mask decoder in numbers. Source: segment-anything, ``build_sam.py``.

    ``point_output`` says which mask answers a single point: ``multimask`` takes the best of the
    three by predicted IoU, since SAM's points are ambiguous; ``single`` takes the first output, as
    for all other prompts, for a model finetuned on one kind of object.

    ``layer_norm_eps`` is what the LayerNorms of the transformer's layers add to the variance: 1e-5
    in segment-anything, 1e-6 by default in Hugging Face's ``SamModel``. Weights do not show it. The
    norm after the last layer has 1e-5 in both (transformers 5.23.0, ``modeling_sam.py``).
    """

    mask_in_chans: int = 16
    num_multimask_outputs: int = 3
    transformer_depth: int = 2
    transformer_mlp_dim: int = 2048
    transformer_num_heads: int = 8
    iou_head_depth: int = 3
    iou_head_hidden_dim: int = 256
    point_output: Literal["multimask", "single"] = "multimask"
    layer_norm_eps: float = field(default=1e-5, metadata={IF_SET: True})

    def __post_init__(self) -> None:
        numbers = (
            "mask_in_chans", "num_multimask_outputs", "transformer_depth", "transformer_mlp_dim",
            "transformer_num_heads", "iou_head_depth", "iou_head_hidden_dim",
        )  # fmt: skip
        check_positive(self, *numbers, where="mask_decoder")
        counts = (
            "num_multimask_outputs", "transformer_depth", "transformer_num_heads", "iou_head_depth",
        )  # fmt: skip
        check_layers(self, *counts, where="mask_decoder")
        if not 0 < self.layer_norm_eps < 1:
            raise FormatError(
                f"mask_decoder.layer_norm_eps: must lie between 0 and 1, found "
                f"{self.layer_norm_eps}"
            )


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
        check_positive(self, "features", where="ais_decoder")
        if list(self.features) != sorted(self.features, reverse=True):
            raise FormatError(
                f"ais_decoder.features: must not grow from one level to the next, found "
                f"{self.features}"
            )


AisDecoderConfig = LightDecoderConfig | UnetrDecoderConfig


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """All networks of a model."""

    image_encoder: EncoderConfig = field(metadata={KINDS: config_classes})
    mask_decoder: MaskDecoderConfig = field(default_factory=MaskDecoderConfig)
    ais_decoder: AisDecoderConfig | None = None
