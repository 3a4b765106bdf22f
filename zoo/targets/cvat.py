"""CVAT's segment-anything plug-in: a decoder for the browser, a nuclio function for the server.

``decoder.onnx`` replaces ``/assets/decoder.onnx`` of CVAT's user interface. The function is
deployed under the name that is built into the plug-in. It encodes with onnxruntime, without torch.

Source: CVAT ``cvat-ui/plugins/sam/src/ts`` and ``serverless/pytorch/facebookresearch/sam/nuclio``.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source, Target

from .tool_export import (
    DECODER_INPUTS,
    DECODER_OUTPUTS,
    Graph,
    decoder_example,
    make_sam,
    refusal,
    write_encoder,
    write_graph,
)

CORNERS = ("xtl", "ytl", "xbr", "ybr")

FUNCTION = """\
metadata:
  name: pth-facebookresearch-sam-vit-h  # what CVAT's plug-in looks for
  namespace: cvat
  annotations:
    name: {name}
    version: "2"
    type: interactor
    spec:
    min_pos_points: "1"
    min_neg_points: "0"
    help_message: Click on an object, and outside of it to correct
spec:
  description: {name}, exported by samzoo
  runtime: "python:3.11"
  handler: main:handler
  eventTimeout: 60s
  build:
    image: cvat.samzoo.{name}
    baseImage: python:3.11-slim
    directives:
      preCopy:
        - kind: RUN
          value: pip install --no-cache-dir numpy onnxruntime pillow
  triggers:
    myHttpTrigger:
      numWorkers: 1
      kind: http
      workerAvailabilityTimeoutMilliseconds: 10000
      attributes:
        maxRequestBodySize: 33554432
  platform:
    attributes:
      restartPolicy:
        name: always
        maximumRetryCount: 3
      mountMode: volume
"""

MAIN = '''"""Image in, image embeddings out: what CVAT's plug-in asks a nuclio function for."""

import base64
import io
import json
import os
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # before onnxruntime loads

import numpy as np
import onnxruntime
from PIL import Image

SIDE = 1024


def init_context(context):
    """Load the encoder once."""
    path = Path(__file__).parent / "encoder.onnx"
    context.user_data.session = onnxruntime.InferenceSession(
        str(path), providers=["CPUExecutionProvider"]
    )


def embed(session, image):
    """Return the embeddings ``(1, 256, 64, 64)`` float32 of a Pillow image."""
    factor = SIDE / max(image.size)
    size = [int(length * factor + 0.5) for length in image.size]
    pixels = np.asarray(image.convert("RGB").resize(size, Image.Resampling.BILINEAR), np.float32)
    return session.run(None, {"input_image": pixels})[0]


def handler(context, event):
    """Answer one request."""
    data = base64.b64decode(event.body["image"])
    features = embed(context.user_data.session, Image.open(io.BytesIO(data)))
    blob = base64.b64encode(np.ascontiguousarray(features, np.float32)).decode()
    return context.Response(
        body=json.dumps({"blob": blob}),
        headers={},
        content_type="application/json",
        status_code=200,
    )
'''


def write(folder: Path, source: Source) -> None:
    """Write ``decoder.onnx``, and ``function/`` for nuclio."""
    from samzoo.training.networks.tool_graphs import CroppedDecoder

    sam = make_sam(source)
    decoder = Graph(
        CroppedDecoder(sam), decoder_example(), DECODER_INPUTS, (*DECODER_OUTPUTS, *CORNERS),
        {
            "point_coords": {1: "num_points"},
            "point_labels": {1: "num_points"},
            "masks": {2: "height", 3: "width"},
        },
    )  # fmt: skip
    write_graph(folder / "decoder.onnx", decoder, source)
    (folder / "function").mkdir()
    write_encoder(folder / "function" / "encoder.onnx", source)
    function = FUNCTION.format(name=source.manifest.name)
    write_bytes(folder / "function" / "function.yaml", function.encode())
    write_bytes(folder / "function" / "main.py", MAIN.encode())


TARGET = Target(
    name="cvat",
    tools=("CVAT",),
    refusal=refusal,
    write=write,
    path=ToolPath(name="cvat", graphs=True),
)
