"""Hugging Face's ``SamModel`` folder, with both processor files.

Source: transformers 5.23.0, ``models/sam``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.zoo.checkpoints.tools.differences import HUGGINGFACE
from samzoo.zoo.checkpoints.writing import split_ais, write_huggingface
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import bottlenecks


def refusal(config: ModelConfig) -> str:
    """Say why a model does not fit into ``SamModel``, which has a ViT; empty if it does."""
    encoder = config.architecture.image_encoder
    if vit_of(encoder) is None:
        noun = family_of(encoder).noun
        return f"Hugging Face's SamModel has a ViT encoder, but this model has a {noun}"
    if config.architecture.mask_decoder.iou_head_depth < 2:
        return "Hugging Face's SamModel has an IoU head of at least 2 layers, not 1"
    return bottlenecks(config)


def write(folder: Path, source: Source) -> None:
    """Write config, weights and processor files."""
    write_huggingface(folder, source.config, split_ais(source.tensors)[0])


TARGET = Target(
    name="huggingface", tools=("transformers 5",), refusal=refusal, write=write, path=HUGGINGFACE
)
