"""Translation between SAM's tensor names and those of Hugging Face's ``SamModel``.

In: tensors by the names of one. Out: the same tensors by the names of the other.

Source: transformers 5.23.0, ``models/sam/modeling_sam.py``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from samzoo.runtime.errors import FormatError

POSITIONS = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
SHARED_POSITIONS = (
    "shared_image_embedding.positional_embedding",
    "prompt_encoder.shared_embedding.positional_embedding",
)
"""The two names of the position encoding's matrix; a file holds one of them or both."""

NECK = {"0": "conv1", "1": "layer_norm1", "2": "conv2", "3": "layer_norm2"}
MASK_EMBED = {"0": "conv1", "1": "layer_norm1", "3": "conv2", "4": "layer_norm2", "6": "conv3"}
UPSCALING = {"0": "upscale_conv1", "1": "upscale_layer_norm", "3": "upscale_conv2"}


def is_huggingface(names: Iterable[str]) -> bool:
    """Whether tensors have Hugging Face's names."""
    return any(name.startswith("vision_encoder.") for name in names)


def to_huggingface(names: Iterable[str], iou_head_depth: int) -> dict[str, tuple[str, ...]]:
    """Give each tensor of a ViT SAM its names in ``SamModel``.

    Args:
        names: By the original SAM key names.
        iou_head_depth: Layers of the head that predicts the IoU.

    Returns:
        One name for each tensor, but two for the matrix of the position encoding.
    """
    return {
        name: SHARED_POSITIONS if name == POSITIONS else (_renamed(name, iou_head_depth),)
        for name in names
    }


def from_huggingface(tensors: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Give tensors of a ``SamModel`` their original SAM names; unknown names stay as they are.

    Raises:
        FormatError: The two copies of the position encoding's matrix differ.
    """
    heads = [re.match(r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\.", n) for n in tensors]
    depth = 3 + max((int(match[1]) for match in heads if match), default=-1)
    renamed: dict[str, Any] = {}
    for name, value in tensors.items():
        original = original_name(name, depth)
        if original in renamed and not (renamed[original] == value).all():
            raise FormatError(
                f"{where}: {SHARED_POSITIONS[0]} and {SHARED_POSITIONS[1]} differ; SAM has one"
            )
        renamed[original] = value
    return renamed


def _renamed(name: str, iou_head_depth: int) -> str:
    part, rest = name.split(".", 1)
    if part == "image_encoder":
        rest = re.sub(r"^blocks\.(\d+)\.norm", r"layers.\1.layer_norm", rest)
        rest = re.sub(r"^blocks\.", "layers.", rest)
        rest = rest.replace("patch_embed.proj.", "patch_embed.projection.")
        rest = re.sub(r"^neck\.(\d)", lambda m: f"neck.{NECK[m[1]]}", rest)
        return f"vision_encoder.{rest}"
    if part == "prompt_encoder":
        rest = re.sub(r"^mask_downscaling\.(\d)", lambda m: f"mask_embed.{MASK_EMBED[m[1]]}", rest)
        return f"{part}.{rest.replace('point_embeddings.', 'point_embed.')}"
    rest = re.sub(r"^output_upscaling\.(\d)", lambda m: UPSCALING[m[1]], rest)
    rest = rest.replace(".norm", ".layer_norm")
    depth = iou_head_depth if rest.startswith("iou_prediction_head") else 3
    return f"{part}.{_mlp_renamed(rest, depth)}"


def _mlp_renamed(name: str, depth: int) -> str:
    found = re.match(
        r"((?:iou_prediction_head|output_hypernetworks_mlps\.\d+)\.)layers\.(\d+)", name
    )
    if found is None:
        return name
    layer = int(found[2])
    inner = {0: "proj_in", depth - 1: "proj_out"}.get(layer, f"layers.{layer - 1}")
    return f"{found[1]}{inner}{name[found.end() :]}"


def original_name(name: str, iou_head_depth: int) -> str:
    """Give a tensor of a ``SamModel`` its original SAM name; an unknown name stays as it is.

    Args:
        name: Its name in a ``SamModel``.
        iou_head_depth: Layers of the head that predicts the IoU.
    """
    if name in SHARED_POSITIONS:
        return POSITIONS
    part, _, rest = name.partition(".")
    if part == "vision_encoder":
        rest = re.sub(r"^layers\.(\d+)\.layer_norm", r"blocks.\1.norm", rest)
        rest = re.sub(r"^layers\.", "blocks.", rest)
        rest = rest.replace("patch_embed.projection.", "patch_embed.proj.")
        return f"image_encoder.{_replaced(rest, 'neck.', NECK)}"
    if part == "prompt_encoder":
        rest = _replaced(rest, "mask_embed.", MASK_EMBED, to="mask_downscaling.")
        return f"{part}.{re.sub('^point_embed[.]', 'point_embeddings.', rest)}"
    if part != "mask_decoder":
        return name
    rest = _replaced(rest, "", UPSCALING, to="output_upscaling.")
    rest = re.sub(r"(^|\.)layer_norm", r"\1norm", rest) if "transformer." in rest else rest
    found = re.match(
        r"((?:iou_prediction_head|output_hypernetworks_mlps\.\d+)\.)(proj_in|proj_out|layers\.(\d+))",
        rest,
    )
    if found is not None:
        depth = iou_head_depth if rest.startswith("iou_prediction_head") else 3
        layer = {"proj_in": 0, "proj_out": depth - 1}.get(found[2])
        layer = int(found[3]) + 1 if layer is None else layer
        rest = f"{found[1]}layers.{layer}{rest[found.end() :]}"
    return f"{part}.{rest}"


def _replaced(name: str, prefix: str, table: Mapping[str, str], *, to: str | None = None) -> str:
    for ours, theirs in table.items():
        if name.startswith(f"{prefix}{theirs}."):
            return f"{prefix if to is None else to}{ours}{name[len(prefix) + len(theirs) :]}"
    return name
