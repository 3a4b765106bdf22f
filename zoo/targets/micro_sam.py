"""micro-sam's files: one file with the AIS decoder inside, and SAM and decoder in separate files.

Only micro-sam opens the first; ``vit_b.pt`` is a bare state dict that other tools read too. All
files are named like micro-sam's own models.

Source: micro-sam 1.8.14, ``util.get_sam_model`` and ``instance_segmentation.get_decoder``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.zoo.checkpoints.state_dicts import DECODER_STATE, MODEL_STATE
from samzoo.zoo.checkpoints.tools.builders import published_size
from samzoo.zoo.checkpoints.tools.differences import MICRO_SAM, holds_decoder
from samzoo.zoo.checkpoints.writing import bare_state_dict, save_torch, split_ais
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import plain_sizes_only


def refusal(config: ModelConfig) -> str:
    """Say why micro-sam, which knows published sizes, cannot take a model; empty if it can."""
    return plain_sizes_only(config, "micro-sam", ("vit_b", "vit_l", "vit_h", "vit_t"))


def write(folder: Path, source: Source) -> None:
    """Write SAM's weights; with micro-sam's AIS decoder, also the decoder, and both in one file."""
    size = published_size(source.config)
    weights = bare_state_dict(source.config, source.tensors)
    save_torch(folder / f"{size}.pt", weights)
    if holds_decoder(source.config, MICRO_SAM):
        decoder = split_ais(source.tensors)[1]
        save_torch(folder / f"{size}_decoder.pt", decoder)
        both = {MODEL_STATE: weights, DECODER_STATE: decoder}
        save_torch(folder / f"{source.manifest.name}.pt", both)


TARGET = Target(
    name="micro-sam", tools=("micro-sam 1.8",), refusal=refusal, write=write, path=MICRO_SAM
)
