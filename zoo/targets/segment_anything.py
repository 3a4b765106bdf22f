"""A bare ``.pth`` of segment-anything's key names, which most tools that run torch load.

ISAT takes files whose name starts with ``sam_vit_b``, Ultralytics those that end with
``sam_b.pt``: the same weights are written under both names.

Source: segment-anything 1.0 ``build_sam.py``; ISAT-SAM 1.5.2 ``segment_any.py``; Ultralytics 8.4
``models/sam/build.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.config import ModelConfig
from samzoo.zoo.checkpoint_writer import bare_state_dict, save_torch

from .target import Source, Target

SIZES = {768: "b", 1024: "l", 1280: "h"}
"""segment-anything's name of each width of its ViTs."""


def refusal(config: ModelConfig) -> str:
    """Adapters' bottlenecks do not exist in segment-anything's network."""
    if config.architecture.image_encoder.adaptformer is not None:
        return "AdaptFormer's bottlenecks do not fold into SAM's weights, and no tool has them"
    return ""


def write(folder: Path, source: Source) -> None:
    """Write the state dict, under every name that a tool insists on."""
    weights = bare_state_dict(source.config, source.tensors)
    for name in file_names(source.config, source.manifest.name):
        save_torch(folder / name, weights)


def file_names(config: ModelConfig, name: str) -> list[str]:
    """Names of the same file for the tools that read a model's size from it."""
    encoder = config.architecture.image_encoder
    size = SIZES.get(getattr(encoder, "embed_dim", 0))
    if size is None:
        return [f"{name}.pth"]
    return [f"sam_vit_{size}_{name}.pth", f"{name}_sam_{size}.pt"]


TARGET = Target(
    name="segment-anything",
    tools=("segment-anything", "ISAT", "Ultralytics", "QuPath (samapi)", "Label Studio"),
    refusal=refusal,
    write=write,
)
