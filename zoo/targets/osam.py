"""osam's pair of ONNX files, which labelme runs: the encoder's input is normalised and named ``x``.

osam cannot load a model that it does not know. ``register.py`` therefore registers this one, in a
program that imports it before osam or labelme start. osam passes ``has_mask_input = -1``, which the
decoder treats as 0.

Source: osam 0.8.1, ``_models/sam/_models.py`` and ``types/_blob.py``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source, Target

from .tool_export import Graph, make_sam, refusal, write_decoder, write_graph

REGISTER = '''"""Register this model in osam as {name!r}: import this file before osam is used.

Run it with ``python register.py``, or copy what it does into the program that starts labelme.
"""

import hashlib
import shutil
from pathlib import Path

import osam
from osam._models.sam._models import Sam
from osam.types import Blob

HERE = Path(__file__).resolve().parent


def blob(path):
    """Copy a file to where osam looks for it, under its hash."""
    found = Blob(url=path.as_uri(), hash="sha256:" + hashlib.sha256(path.read_bytes()).hexdigest())
    target = Path(found.path)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return found


class Model(Sam):
    """The model as osam knows its own."""

    name = {name!r}
    _blobs = {{"encoder": blob(HERE / "encoder.onnx"), "decoder": blob(HERE / "decoder.onnx")}}


osam.apis.registered_model_types.append(Model)
'''


def write(folder: Path, source: Source) -> None:
    """Write osam's ``encoder.onnx``, ``decoder.onnx`` and ``register.py``."""
    write_graph(folder / "encoder.onnx", normalised_encoder(make_sam(source)), source)
    write_decoder(folder / "decoder.onnx", source)
    text = REGISTER.format(name=f"{source.manifest.name}:latest")
    write_bytes(folder / "register.py", text.encode())


def normalised_encoder(sam: object) -> Graph:
    """Make the encoder with the input ``x (1, 3, 1024, 1024)``; osam reads these sides from it."""
    import torch

    from samzoo.training.networks.tool_graphs import NormalisedToolEncoder

    example = torch.randn(1, 3, 1024, 1024)
    example[:, :, 700:] = 0
    return Graph(NormalisedToolEncoder(sam), (example,), ("x",), ("image_embeddings",))  # type: ignore[arg-type]


TARGET = Target(
    name="osam",
    tools=("osam 0.8", "labelme 7"),
    refusal=refusal,
    write=write,
    path=ToolPath(name="osam", graphs=True),
)
