"""samexporter's pair of ONNX files: an encoder of unscaled images, and segment-anything's decoder.

Source: samexporter 0.5.0, ``sam_onnx.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source, Target

from .tool_export import refusal, write_pair


def write(folder: Path, source: Source) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx``."""
    write_pair(folder, source)


TARGET = Target(
    name="samexporter",
    tools=("samexporter 0.5",),
    refusal=refusal,
    write=write,
    path=ToolPath(name="samexporter", graphs=True),
)
