"""The published sizes of SAM, the only ones that other tools know."""

from __future__ import annotations

from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.checkpoints.tools.builders import published_size


def bottlenecks(config: ModelConfig) -> str:
    """Say that a model has layers which no tool's SAM has; empty if it has none."""
    if config.architecture.image_encoder.adaptformer is not None:
        return "AdaptFormer's bottlenecks do not fold into SAM's weights, and no tool has them"
    return ""


def plain_sizes_only(config: ModelConfig, tool: str, allowed: tuple[str, ...]) -> str:
    """Say why a tool that builds only some sizes cannot take a model; empty if it can."""
    if reason := bottlenecks(config):
        return reason
    size = published_size(config)
    if size not in allowed:
        found = size or "a network of another size"
        return f"{tool} builds {', '.join(allowed)} at 1024 pixels, this model is {found}"
    return ""
