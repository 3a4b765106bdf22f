"""Label Studio's segment-anything backend: a ``vit_h`` checkpoint, a decoder, and their settings.

Source: label-studio-ml-backend, ``examples/segment_anything_model/sam_predictor.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.checkpoints.writing import bare_state_dict, save_torch
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import plain_sizes_only
from .tool_export import write_decoder


def refusal(config: ModelConfig) -> str:
    """Say why the backend, which has ``vit_h`` built in, cannot take a model; empty if it can."""
    return plain_sizes_only(config, "Label Studio's backend", ("vit_h",))


def write(folder: Path, source: Source) -> None:
    """Write the checkpoint, the decoder, and the two settings that name them."""
    checkpoint = f"sam_vit_h_{source.manifest.name}.pth"
    save_torch(folder / checkpoint, bare_state_dict(source.config, source.tensors))
    write_decoder(folder / "decoder.onnx", source)
    settings = f"VITH_CHECKPOINT={checkpoint}\nONNX_CHECKPOINT=decoder.onnx\n"
    write_bytes(folder / "settings.env", settings.encode())


TARGET = Target(
    name="label-studio",
    tools=("Label Studio (ML backend)",),
    refusal=refusal,
    write=write,
    path=ToolPath(name="label-studio"),
)
