"""The contracts of a package's graphs: the section "ONNX graphs" of ``docs/formats.md`` as code.

In: a graph's bytes and the model's config. Out: the differences from the contract.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.engine.sessions import EXTERNAL_DATA_FOLDER, INPUTS, MULTIMASK_INPUT, OUTPUTS
from samzoo.runtime.errors import SamzooError, shown
from samzoo.runtime.formats.architecture import AIS_CHANNELS, EMBEDDING_CHANNELS
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import ENCODER, MASK_DECODER, FileEntry

from .reader import summarise

MIN_OPSET, MAX_OPSET = 17, 17
"""Opset 17 is the first with LayerNormalization; Fiji's engines read up to opset 18 and IR 8."""

MAX_IR = 8
DOMAINS = {"", "ai.onnx"}
LOOPS = {"Loop", "Scan"}
"""Operators that can run forever. Our graphs have none of them."""

FLOAT = "tensor(float)"
Shape = tuple[int | None, ...]


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


def check_graph(data: bytes, entry: FileEntry, config: ModelConfig, path: Path) -> list[str]:
    """Check a graph before it is run.

    Args:
        data: The file's bytes, whose sha256 has been checked.
        entry: The file's entry in the manifest.
        config: Config of the model that the graph belongs to.
        path: The file, for messages.

    Returns:
        The problems found, in words; empty if there are none.
    """
    try:
        summary = summarise(data, where=str(path))
    except SamzooError as error:
        return [str(error)]
    problems = []
    if summary.has_external_data:
        problems.append(f"{path}: has weights in other files, allowed are none")
    if strange := sorted(set(summary.opsets) - DOMAINS):
        problems.append(f"{path}: domains: found {shown(strange)}, allowed is the default one")
    if strange := sorted({d for d, _ in summary.operators} - DOMAINS):
        problems.append(f"{path}: operators of the domains {shown(strange)}, allowed: the default")
    if loops := sorted({kind for _, kind in summary.operators} & LOOPS):
        problems.append(f"{path}: operators: found {shown(loops)}, which a model has no use for")
    opset = summary.opsets.get("", summary.opsets.get("ai.onnx", 0))
    if not MIN_OPSET <= opset <= MAX_OPSET or summary.ir_version > MAX_IR:
        problems.append(
            f"{path}: opset {opset} and IR {summary.ir_version}, allowed: opset {MIN_OPSET}, "
            f"IR up to {MAX_IR}"
        )
    return problems or _check_session(data, entry, config, path)


def _check_session(data: bytes, entry: FileEntry, config: ModelConfig, path: Path) -> list[str]:
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry(EXTERNAL_DATA_FOLDER, os.devnull)
    try:
        session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's error classes share no public base
        return [f"{path}: not a usable ONNX model ({error})"]
    inputs, outputs = session.get_inputs(), session.get_outputs()
    wanted = (list(INPUTS[entry.role]), list(OUTPUTS[entry.role]))
    found = ([value.name for value in inputs], [value.name for value in outputs])
    if found != wanted:
        return [f"{path}: inputs and outputs: found {found}, expected {wanted}"]
    problems = []
    shapes = shapes_of(entry.role, config)
    for value in [*inputs, *outputs]:
        problems += _check_value(value, shapes[value.name], path)
    if entry.role == MASK_DECODER:
        optional = {value.name for value in session.get_overridable_initializers()}
        if optional - {MULTIMASK_INPUT}:
            problems.append(f"{path}: unknown optional inputs {shown(sorted(optional))}")
    digest = session.get_modelmeta().custom_metadata_map.get("samzoo.weights_digest")
    if digest != config.weights_digest:
        problems.append(
            f"{path}: samzoo.weights_digest: found {shown(digest)}, the manifest says "
            f"{config.weights_digest}"
        )
    return problems


def _check_value(value: Any, shape: Shape, path: Path) -> list[str]:
    if value.type != FLOAT:
        return [f"{path}: {value.name}: type {value.type}, expected {FLOAT}"]
    sizes = [size if isinstance(size, int) else None for size in value.shape]
    # The graph may leave a side free although the config fixes its size.
    fits = len(sizes) == len(shape) and all(
        wanted is None or found in (None, wanted)
        for found, wanted in zip(sizes, shape, strict=True)
    )
    if fits:
        return []
    return [f"{path}: {value.name}: shape {value.shape}, expected {shape}"]
