"""AnyLabeling's custom model: a config beside the pair of ONNX files.

"Load custom model" in AnyLabeling opens ``config.yaml``. AnyLabeling fits the image into 684 x 1024
pixels, black to the right and below, so images in portrait format lose resolution.

Source: AnyLabeling 0.4.43, ``services/auto_labeling/segment_anything.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source, Target

from .tool_export import refusal, write_pair, yaml_of

CANVAS_SIZE = (684, 1024)
"""(height, width) of the canvas that the image is drawn into."""

CANVAS = {"input_size": 1024, "max_width": 1024, "max_height": 682}
"""Settings for which AnyLabeling has no default; its own models have these values."""


def write(folder: Path, source: Source) -> None:
    """Write ``config.yaml``, ``encoder.onnx`` and ``decoder.onnx``."""
    write_pair(folder, source)
    write_config(folder, source)


def write_config(folder: Path, source: Source) -> None:
    """Write ``config.yaml``; paths in it are relative to it."""
    config = {
        "type": "segment_anything",
        "name": source.manifest.name,
        "display_name": source.manifest.name,
        "encoder_model_path": "encoder.onnx",
        "decoder_model_path": "decoder.onnx",
        **CANVAS,
    }
    write_bytes(folder / "config.yaml", yaml_of(config).encode())


TARGET = Target(
    name="anylabeling",
    tools=("AnyLabeling 0.4",),
    refusal=refusal,
    write=write,
    path=ToolPath(name="anylabeling", graphs=True, canvas=CANVAS_SIZE),
)
