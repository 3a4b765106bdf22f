"""The contract of a package's graphs as onnxruntime sees them, after ``runtime``'s own check.

In: a graph's bytes and the model's config. Out: the differences from the contract.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from samzoo.runtime.dependencies import import_onnxruntime
from samzoo.runtime.engine.graph_contract import (
    INPUTS,
    MULTIMASK_INPUT,
    OUTPUTS,
    graph_problems,
    shapes_of,
)
from samzoo.runtime.engine.onnx_file import Shape
from samzoo.runtime.engine.sessions import EXTERNAL_DATA_FOLDER
from samzoo.runtime.errors import shown
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import MASK_DECODER, FileEntry

FLOAT = "tensor(float)"


def check_graph(data: bytes, entry: FileEntry, config: ModelConfig, path: Path) -> list[str]:
    """Check a graph before it is run: as it is written, then as onnxruntime loads it.

    Args:
        data: The file's bytes, whose sha256 has been checked.
        entry: The file's entry in the manifest.
        config: Config of the model that the graph belongs to.
        path: The file, for messages.

    Returns:
        The problems found, in words; empty if there are none.
    """
    problems = graph_problems(data, entry.role, config, where=str(path))
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
