"""Tracing to ONNX: one tracer, and the three graphs of a package.

In: a ``Sam`` in torch. Out: the bytes of each graph. ``docs/formats.md`` has the graphs' contracts;
``samzoo.training.networks.graphs`` has the modules that are traced.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from samzoo.runtime.dependencies import require
from samzoo.runtime.engine.graph_contract import INPUTS, MULTIMASK_INPUT, OUTPUTS
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER

from .factor_inputs import rank_axes, with_defaults, with_factors
from .int8 import quantize_linears
from .memory_release import keep_large_blocks_apart
from .storage import store_as_half, store_as_int8

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import Tensor, nn

    from samzoo.training.networks.sam import Sam

OPSET = 17
"""What every consumer reads: LayerNormalization is there from 17 on, Fiji's engine stops at 18."""

DYNAMIC_AXES: dict[str, dict[str, dict[int, str]]] = {
    ENCODER: {"input_image": {0: "height", 1: "width"}},
    MASK_DECODER: {
        "point_coords": {0: "num_objects", 1: "num_points"},
        "point_labels": {0: "num_objects", 1: "num_points"},
        "mask_input": {0: "num_masks"},
        "masks": {0: "num_objects", 1: "num_outputs", 2: "orig_height", 3: "orig_width"},
        "iou_predictions": {0: "num_objects", 1: "num_outputs"},
        "low_res_masks": {0: "num_objects", 1: "num_outputs"},
    },
    AIS_DECODER: {},
}


def graph_roles(sam: Sam) -> list[str]:
    """Return the roles of the graphs that a model has."""
    return [ENCODER, MASK_DECODER, *([AIS_DECODER] if sam.ais_decoder is not None else [])]


def export_graphs(
    sam: Sam,
    *,
    precision: str,
    metadata: Mapping[str, str],
    roles: Collection[str] = (ENCODER, MASK_DECODER, AIS_DECODER),
    factor_layers: Sequence[str] = (),
) -> dict[str, bytes]:
    """Trace the graphs the model has.

    Args:
        sam: The model, in eval mode, float32.
        precision: ``fp32``, or ``fp16`` to store large weights as float16; the arithmetic stays
            float32 either way; ``int8-weights`` stores those of layers in 8 bits; ``int8`` does as
            ``fp16`` and computes the encoder's linear layers with 8-bit integers.
        metadata: Written into each graph.
        roles: Which graphs.
        factor_layers: Linear layers of the encoder that get LoRA factors as inputs, with defaults
            of rank 0; see ``docs/formats.md``. The encoder of ``sam`` is of no other use then.

    Returns:
        ONNX files as bytes, by role.

    Raises:
        MissingDependencyError: torch or onnx is not installed.
    """
    torch = require("torch", extra="export")
    require("onnx", extra="export")
    from samzoo.training.networks.graphs import AisGraph, EncoderGraph, MaskDecoderGraph

    grid, side = sam.config.grid, sam.config.mask_side
    embeddings = torch.randn(1, EMBEDDING_CHANNELS, grid, grid)
    # No side of the example is the model's size, so that nothing can be traced as "no padding".
    height, width = sam.config.image_size * 3 // 4, sam.config.image_size * 2 // 3
    graphs: dict[str, tuple[nn.Module, tuple[Tensor, ...]]] = {
        ENCODER: (EncoderGraph(sam), (torch.rand(height, width, 3) * 255,)),
        MASK_DECODER: (
            MaskDecoderGraph(sam),
            (
                embeddings,
                torch.rand(2, 3, 2) * height,
                torch.tensor([[1.0, 0.0, -1.0], [1.0, 2.0, 3.0]]),
                torch.randn(2, 1, side, side),
                torch.ones(1),
                torch.tensor([height, width], dtype=torch.float32),
                torch.zeros(1),
            ),
        ),
    }
    if sam.ais_decoder is not None:
        graphs[AIS_DECODER] = (AisGraph(sam), (embeddings,))
    wanted = {role: graph for role, graph in graphs.items() if role in roles}
    defaults: dict[str, Mapping[str, tuple[int, ...]]] = {MASK_DECODER: {MULTIMASK_INPUT: (1,)}}
    if factor_layers and ENCODER in wanted:
        graph, image = wanted[ENCODER]
        adapted, factors, defaults[ENCODER] = with_factors(sam, graph, factor_layers)
        wanted[ENCODER] = adapted, (*image, *factors)
    return {
        role: _finish(
            role, _trace(role, module, example, defaults.get(role, {})), precision, metadata
        )
        for role, (module, example) in wanted.items()
    }


def trace(
    module: nn.Module,
    example: tuple[Tensor, ...],
    *,
    inputs: Sequence[str],
    outputs: Sequence[str],
    dynamic_axes: Mapping[str, Mapping[int, str]],
) -> bytes:
    """Trace a module to ONNX: opset 17, default domain, weights inside.

    Args:
        module: The network; it is put into eval mode.
        example: One tensor for each input. No side may be one that the network could take for a
            constant.
        inputs: Names of the inputs.
        outputs: Names of the outputs.
        dynamic_axes: Names of the axes that are free, by input or output.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", extra="export")
    keep_large_blocks_apart()
    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.onnx"
        # The tracing exporter: its graphs keep the names and opset that annotation tools need. It
        # warns that a newer one exists, and of every Python number that depends on a shape.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            example,
            path,
            dynamo=False,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={name: dict(axes) for name, axes in dynamic_axes.items()},
        )
        return path.read_bytes()


def sealed(model: ModelProto, metadata: Mapping[str, str]) -> bytes:
    """Write metadata into a graph, check it, and return its bytes.

    Raises:
        MissingDependencyError: onnx is not installed.
    """
    onnx = require("onnx", extra="export")
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    result: bytes = model.SerializeToString()
    return result


def _trace(
    role: str,
    module: nn.Module,
    example: tuple[Tensor, ...],
    defaults: Mapping[str, tuple[int, ...]],
) -> bytes:
    """Trace one graph; ``defaults`` are the shapes of inputs that may be left out."""
    graph = trace(
        module,
        example,
        inputs=[*INPUTS[role], *defaults],
        outputs=OUTPUTS[role],
        dynamic_axes={**DYNAMIC_AXES[role], **rank_axes(defaults)},
    )
    return with_defaults(graph, defaults)


def _finish(role: str, graph: bytes, precision: str, metadata: Mapping[str, str]) -> bytes:
    import onnx

    model = onnx.load_from_string(graph)
    if precision == "int8" and role == ENCODER:
        model = quantize_linears(model)
    if precision == "int8-weights":
        store_as_int8(model)
    if precision != "fp32":
        store_as_half(model)
    return sealed(model, metadata)
