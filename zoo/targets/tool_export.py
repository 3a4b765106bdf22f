"""The common part of the ONNX targets: tracing, contracts, and the check for models.

In: a ``Source``. Out: ONNX files in a target's folder.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from samzoo.runtime.dependencies import require
from samzoo.runtime.engine.graph_contract import INPUTS, OUTPUTS
from samzoo.runtime.formats.architecture import MASK_PIXELS
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import MASK_DECODER
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.graphs.encoder_insertion import insert_encoder
from samzoo.zoo.graphs.tracing import sealed, trace
from samzoo.zoo.packages.target import Source

if TYPE_CHECKING:
    from torch import Tensor, nn

    from samzoo.training.networks.sam import Sam

TOOL_GRID = 64
"""Side of the embeddings that is built into the tools."""

DECODER_INPUTS, DECODER_OUTPUTS = INPUTS[MASK_DECODER], OUTPUTS[MASK_DECODER]
"""Those of segment-anything's own export, in this order, since some tools read by position."""


class Graph(NamedTuple):
    """A module with what its ONNX file is to look like."""

    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    dynamic_axes: Mapping[str, Mapping[int, str]] = {}


def refusal(config: ModelConfig) -> str:
    """Say why a model does not fit SAM's interface of 1024 pixels; empty if it does."""
    if config.grid != TOOL_GRID:
        return f"its embeddings have a grid of {config.grid}, these tools expect {TOOL_GRID}"
    return ""


def make_sam(source: Source) -> Sam:
    """Build the network of a model, once for all targets."""
    require("torch", extra="export")
    from samzoo.training.networks.sam import Sam, load_weights

    def build() -> Sam:
        sam = Sam(source.config)
        load_weights(sam, source.tensors, where=source.manifest.name)
        return sam.eval()

    sam: Sam = source.once("sam", build)
    return sam


def write_graph(path: Path, graph: Graph, source: Source) -> None:
    """Trace a module and write its ONNX file.

    Args:
        path: The file.
        graph: What to trace.
        source: Gives the metadata.

    Raises:
        MissingDependencyError: torch or onnx is not installed.
    """
    write_bytes(path, _traced(graph, source))


def write_pair(folder: Path, source: Source) -> None:
    """Write ``encoder.onnx`` and ``decoder.onnx``: the pair that several tools take."""
    write_encoder(folder / "encoder.onnx", source)
    write_decoder(folder / "decoder.onnx", source)


def write_encoder(path: Path, source: Source) -> None:
    """Write the encoder of ``image_encoder``, traced once for all targets."""
    _write_once(path, "pair.encoder", image_encoder, source)


def write_decoder(path: Path, source: Source) -> None:
    """Write the decoder of ``mask_decoder``, traced once for all targets."""
    _write_once(path, "pair.decoder", mask_decoder, source)


def _write_once(path: Path, name: str, make: Callable[[Sam], Graph], source: Source) -> None:
    def written() -> Path:
        write_graph(path, make(make_sam(source)), source)
        return path

    # A file and not its bytes, which would stay in memory.
    first: Path = source.once(name, written)
    if first != path:
        shutil.copyfile(first, path)


def _traced(graph: Graph, source: Source) -> bytes:
    """Trace a module to the bytes of an ONNX file, with the model's name and digest inside.

    The image encoder is traced once for all graphs, and put into each that has one.
    """
    onnx = require("onnx", extra="export")
    from samzoo.training.networks.encoder_stand_in import OPERATOR, encoder_left_out

    with encoder_left_out(graph.module, source.config.grid):
        traced = trace(
            graph.module,
            graph.example,
            inputs=graph.inputs,
            outputs=graph.outputs,
            dynamic_axes=graph.dynamic_axes,
        )
    model = onnx.load_from_string(traced)
    if any(f"{node.domain}::{node.op_type}" == OPERATOR for node in model.graph.node):
        insert_encoder(model, onnx.load(_encoder_body(source)), OPERATOR)
    found = tuple(value.name for value in model.graph.input)
    assert found == graph.inputs, f"traced inputs {found}, expected {graph.inputs}"
    metadata = {
        "samzoo.name": source.manifest.name,
        "samzoo.weights_digest": source.config.weights_digest,
    }
    return sealed(model, metadata)


def _encoder_body(source: Source) -> Path:
    """Trace the image encoder alone, once for all graphs; returns its file outside the package."""
    import torch

    from samzoo.training.networks.encoder_stand_in import EncoderBody

    path = source.scratch / "encoder_body.onnx"

    def traced() -> Path:
        side = source.config.image_size
        graph = trace(
            EncoderBody(make_sam(source)), (torch.rand(1, 3, side, side),),
            inputs=["x"], outputs=["embeddings"], dynamic_axes={},
        )  # fmt: skip
        write_bytes(path, graph)
        return path

    found: Path = source.once("encoder body", traced)
    return found


def image_encoder(sam: Sam, name: str = "input_image") -> Graph:
    """Make the encoder of ``(height, width, 3)`` RGB in 0..255, as AnyLabeling and others use."""
    import torch

    from samzoo.training.networks.tool_graphs import ToolEncoder

    return Graph(
        ToolEncoder(sam),
        (255 * torch.rand(684, 1001, 3),),
        (name,),
        ("image_embeddings",),
        {name: {0: "height", 1: "width"}},
    )


def decoder_example() -> tuple[Tensor, ...]:
    """Return example inputs of a decoder; all of their sides differ."""
    import torch

    return (
        torch.randn(1, 256, TOOL_GRID, TOOL_GRID),
        torch.rand(1, 3, 2) * 600,
        torch.tensor([[1.0, 0.0, -1.0]]),
        torch.randn(1, 1, MASK_PIXELS * TOOL_GRID, MASK_PIXELS * TOOL_GRID),
        torch.ones(1),
        torch.tensor([684.0, 1024.0]),
    )


def mask_decoder(sam: Sam) -> Graph:
    """Make the decoder with segment-anything's six inputs and three outputs, one mask an object."""
    from samzoo.training.networks.tool_graphs import ToolDecoder

    return Graph(
        ToolDecoder(sam), decoder_example(), DECODER_INPUTS, DECODER_OUTPUTS,
        {
            "point_coords": {1: "num_points"},
            "point_labels": {1: "num_points"},
            "masks": {2: "orig_height", 3: "orig_width"},
        },
    )  # fmt: skip


def yaml_of(value: Mapping[str, Any]) -> str:
    """Write a flat mapping of text and numbers as YAML."""
    return "".join(f"{key}: {json.dumps(item)}\n" for key, item in value.items())
