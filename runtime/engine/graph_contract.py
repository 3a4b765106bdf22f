"""The contract of a package's graphs: the section "ONNX graphs" of ``docs/formats.md`` as code.

In: a graph's bytes, from a stranger, and the model's config. Out: the differences from the
contract. Nothing is loaded or run: a graph that could run for ever, or read files beside it, never
reaches onnxruntime.
"""

from __future__ import annotations

import mmap
from pathlib import Path

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import AIS_CHANNELS, EMBEDDING_CHANNELS
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import AIS_DECODER, ENCODER, MASK_DECODER, Manifest

from .onnx_file import Data, OnnxSummary, OnnxValue, Shape, summarise

INPUTS = {
    ENCODER: ("input_image",),
    MASK_DECODER: (
        "image_embeddings",
        "point_coords",
        "point_labels",
        "mask_input",
        "has_mask_input",
        "orig_im_size",
    ),
    AIS_DECODER: ("image_embeddings",),
}
OUTPUTS = {
    ENCODER: ("image_embeddings",),
    MASK_DECODER: ("masks", "iou_predictions", "low_res_masks"),
    AIS_DECODER: ("ais_maps",),
}
"""Names of the graphs' inputs and outputs, in order; the mask decoder's are segment-anything's."""

MULTIMASK_INPUT = "multimask_output"
"""An optional input of the mask decoder (an overridable initializer); tools need not know it."""

MIN_OPSET, MAX_OPSET = 17, 17
"""Opset 17 is the first with LayerNormalization; Fiji's engines read up to opset 18 and IR 8."""

MAX_IR = 8
DOMAINS = {"", "ai.onnx"}
LOOPS = {"Loop", "Scan", "SequenceMap"}
"""Operators that can run for ever. Our graphs have none of them."""

FLOAT_ELEMENT = 1
"""``TensorProto.FLOAT`` in ``onnx.proto3``."""


def shapes_of(role: str, config: ModelConfig) -> dict[str, Shape]:
    """Return the shape of each input and output by name; None stands for a free side."""
    grid = config.grid
    embeddings: Shape = (1, EMBEDDING_CHANNELS, grid, grid)
    if role == ENCODER:
        return {"input_image": (None, None, 3), "image_embeddings": embeddings}
    if role == MASK_DECODER:
        side = config.mask_side
        return {
            "image_embeddings": embeddings,
            "point_coords": (None, None, 2),
            "point_labels": (None, None),
            "mask_input": (None, 1, side, side),
            "has_mask_input": (1,),
            "orig_im_size": (2,),
            "masks": (None, None, None, None),
            "iou_predictions": (None, None),
            "low_res_masks": (None, None, side, side),
        }
    return {"image_embeddings": embeddings, "ais_maps": (1, len(AIS_CHANNELS), None, None)}


def graph_problems(data: Data, role: str, config: ModelConfig, *, where: str) -> list[str]:
    """Compare a graph with the contract of its role, without loading it.

    Args:
        data: The file's bytes.
        role: ``encoder``, ``mask_decoder`` or ``ais_decoder``.
        config: Config of the model that the graph belongs to.
        where: The file, which begins each message.

    Returns:
        The problems found, in words; empty if there are none.
    """
    try:
        summary = summarise(data, where=where)
    except FormatError as error:
        return [str(error)]
    problems = [*_structure(summary), *_values(summary, role, config)]
    return [f"{where}: {problem}" for problem in problems]


def check_graph(data: Data, role: str, config: ModelConfig, *, where: str) -> None:
    """Refuse a graph that breaks the contract of its role; see ``graph_problems``.

    Raises:
        FormatError: The first problem found.
    """
    problems = graph_problems(data, role, config, where=where)
    if problems:
        raise FormatError(f"{problems[0]}; do not use this file, fetch or export the model again")


def check_graphs(folder: Path, manifest: Manifest) -> None:
    """Refuse a package of which a graph breaks its contract; its other files are not read.

    Args:
        folder: The package, whose files have the manifest's sha256.
        manifest: Its manifest.

    Raises:
        FormatError: A graph breaks its contract.
    """
    configs = {entry.name: entry.model for entry in manifest.adapters}
    for entry in manifest.files:
        if entry.role not in INPUTS:
            continue
        path = folder / entry.path
        config = configs.get(entry.adapter, manifest.model)
        if not entry.size:
            raise FormatError(f"{path}: not an ONNX model (it is empty)")
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            check_graph(data, entry.role, config, where=str(path))


def _structure(summary: OnnxSummary) -> list[str]:
    problems = []
    if summary.has_external_data:
        problems.append("has weights in other files, allowed are none")
    if summary.has_functions:
        problems.append("functions: defines operators of its own, allowed are none")
    if strange := sorted(set(summary.opsets) - DOMAINS):
        problems.append(f"domains: found {shown(strange)}, allowed is the default one")
    if strange := sorted({domain for domain, _ in summary.operators} - DOMAINS):
        problems.append(f"operators of the domains {shown(strange)}, allowed: the default")
    if loops := sorted({kind for _, kind in summary.operators} & LOOPS):
        problems.append(f"operators: found {shown(loops)}, which a model has no use for")
    opset = summary.opsets.get("", summary.opsets.get("ai.onnx", 0))
    if not MIN_OPSET <= opset <= MAX_OPSET or summary.ir_version > MAX_IR:
        problems.append(
            f"opset {opset} and IR {summary.ir_version}, allowed: opset {MIN_OPSET}, IR up to "
            f"{MAX_IR}"
        )
    return problems


def _values(summary: OnnxSummary, role: str, config: ModelConfig) -> list[str]:
    found = (
        [value.name for value in summary.required],
        [value.name for value in summary.outputs],
    )
    wanted = (list(INPUTS[role]), list(OUTPUTS[role]))
    if found != wanted:
        return [f"inputs and outputs: found {shown(found)}, expected {wanted}"]
    problems = []
    if role != ENCODER:  # whose optional inputs are the factors of its adapters
        allowed = {MULTIMASK_INPUT} if role == MASK_DECODER else set()
        if strange := sorted({value.name for value in summary.optional} - allowed):
            problems.append(f"unknown optional inputs {shown(strange)}")
    shapes = shapes_of(role, config)
    for value in [*summary.required, *summary.outputs]:
        problems += _value(value, shapes[value.name])
    return problems


def _value(value: OnnxValue, shape: Shape) -> list[str]:
    if value.element != FLOAT_ELEMENT:
        return [f"{value.name}: element type {value.element}, expected {FLOAT_ELEMENT} (float32)"]
    # The graph may leave a side free although the config fixes its size.
    fits = value.shape is None or (
        len(value.shape) == len(shape)
        and all(
            wanted is None or found in (None, wanted)
            for found, wanted in zip(value.shape, shape, strict=True)
        )
    )
    return [] if fits else [f"{value.name}: shape {shown(value.shape)}, expected {shape}"]
