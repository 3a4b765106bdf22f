"""QuPath's SAM extension, whose server (samapi) takes weights by URL.

Source: samapi 0.7.1, ``main.py`` and ``utils.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.builders import published_size
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.checkpoints.writing import bare_state_dict, save_torch
from samzoo.zoo.packages.target import Source, Target

from .sam_sizes import plain_sizes_only

STEPS = """\
{name} in QuPath

1. Put {file} where samapi can fetch it: a web server, Google Drive, or Hugging Face
   (https://huggingface.co/ORG/{name}/resolve/main/qupath/{file}).
2. In QuPath: Extensions > SAM > Register SAM weights from URL.
   SAM type: {kind}. Name: {name}. URL: the one of step 1.
3. Choose {name} as SAM weights.
"""


BRIGHTNESS = """\
QuPath sends the image as the viewer shows it. Open View > Brightness/Contrast and set each
channel's Min display and Max display to the values that shall become 0 and 255; set Gamma there
if one is named above.
"""
"""Source: QuPath's SAM extension, ``Utils.createRenderedServer``."""


def refusal(config: ModelConfig) -> str:
    """Say why QuPath's server, with its published sizes, cannot take a model; empty if it can."""
    return plain_sizes_only(config, "QuPath's server", ("vit_b", "vit_l", "vit_h", "vit_t"))


def write(folder: Path, source: Source) -> None:
    """Write the state dict, and a text with the remaining steps."""
    name, size = source.manifest.name, published_size(source.config)
    save_torch(folder / f"{name}.pth", bare_state_dict(source.config, source.tensors))
    kind = {"vit_t": "vit_t (mobile)"}.get(size, size)
    text = STEPS.format(name=name, file=f"{name}.pth", kind=kind)
    write_bytes(folder / "STEPS.txt", text.encode())


TARGET = Target(
    name="qupath",
    tools=("QuPath (samapi)",),
    refusal=refusal,
    write=write,
    path=ToolPath(name="qupath", prepare=BRIGHTNESS),
)
