"""micro-sam's files: one with the AIS decoder inside, and encoder and decoder apart.

The first opens in micro-sam only; ``vit_b.pt`` is a bare state dict that other tools read too. Both
ways are named as micro-sam's own models are.

Source: micro-sam 1.8.14, ``util.get_sam_model`` and ``instance_segmentation.get_decoder``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig, UnetrDecoderConfig
from samzoo.zoo.checkpoints.reading import DECODER_STATE, MODEL_STATE
from samzoo.zoo.checkpoints.writing import bare_state_dict, save_torch, split_ais
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import plain_sizes_only, sam_size


def refusal(config: ModelConfig) -> str:
    """micro-sam finds a model's size by its width."""
    return plain_sizes_only(config, "micro-sam", ("vit_b", "vit_l", "vit_h", "vit_t"))


def write(folder: Path, source: Source) -> None:
    """Write ``vit_b.pt``, and with micro-sam's AIS decoder ``vit_b_decoder.pt`` and both in one."""
    size = sam_size(source.config)
    weights = bare_state_dict(source.config, source.tensors)
    save_torch(folder / f"{size}.pt", weights)
    if isinstance(source.config.architecture.ais_decoder, UnetrDecoderConfig):
        decoder = split_ais(source.tensors)[1]
        save_torch(folder / f"{size}_decoder.pt", decoder)
        both = {MODEL_STATE: weights, DECODER_STATE: decoder}
        save_torch(folder / f"{source.manifest.name}.pt", both)


TARGET = Target(name="micro-sam", tools=("micro-sam 1.8",), refusal=refusal, write=write)
