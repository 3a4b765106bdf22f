"""The checkpoint of a training run: all that it needs to continue, in one safetensors file.

In: the trained weights, their average, the optimiser, random states, history. Out: one file,
replaced as a whole, so that a crash leaves the previous one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.files import read_metadata, read_tensors
from samzoo.runtime.formats.tensor_files import TensorInfo, stream_tensors

FORMAT_VERSION = 1


def save_state(
    path: Path,
    *,
    weights: Mapping[str, Tensor],
    average: Mapping[str, Tensor],
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
    progress: Mapping[str, Any],
) -> None:
    """Write the state of a run.

    Args:
        path: The checkpoint file.
        weights: Trained parameters by name.
        average: The weights' moving average by name; empty if there is none.
        optimizer: The optimiser, of which moments and settings are stored.
        rng: Generator of crops and prompts; torch's own generator is stored too.
        progress: JSON values: epoch, best score, history.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    tensors = {f"weights/{name}": _array(value) for name, value in weights.items()}
    tensors |= {f"average/{name}": _array(value) for name, value in average.items()}
    state = optimizer.state_dict()
    for index, values in state["state"].items():
        for key, value in values.items():
            tensors[f"optimizer/{index}/{key}"] = _array(torch.as_tensor(value))
    tensors["torch_rng"] = torch.get_rng_state().numpy()
    description = {
        "version": FORMAT_VERSION,
        "param_groups": state["param_groups"],
        "rng": rng.bit_generator.state,
        "progress": dict(progress),
    }
    # One tensor at a time: a copy of all of them would be the most that a run needs.
    info = {name: TensorInfo(value.dtype.name, value.shape) for name, value in tensors.items()}
    stream_tensors(path, tensors, info, {"samzoo": json.dumps(description)})


def read_progress(path: Path) -> dict[str, Any]:
    """Read the ``progress`` of a checkpoint, and nothing else.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, or one of another version.
    """
    progress: dict[str, Any] = _description(path)["progress"]
    return progress


def load_state(
    path: Path,
    *,
    weights: Mapping[str, Tensor],
    average: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Restore the saved state of a run.

    Args:
        path: The checkpoint file.
        weights: Trained parameters by name, changed in place.
        average: The weights' moving average, which is replaced.
        optimizer: The optimiser, whose moments and settings are restored.
        rng: The generator whose state is restored; torch's own is restored too.

    Returns:
        The ``progress`` that was saved.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, or one of other weights; nothing is changed
            then.
    """
    description = _description(path)
    tensors = read_tensors(path)
    wanted = {f"weights/{name}": value.shape for name, value in weights.items()}
    wanted |= {f"average/{name}": value.shape for name, value in average.items()}
    found = {
        name: value.shape
        for name, value in tensors.items()
        if name.startswith(("weights/", "average/"))
    }
    if found != wanted or "torch_rng" not in tensors:
        raise FormatError(f"{path}: this checkpoint belongs to another method or other settings")
    with torch.no_grad():
        for name, parameter in weights.items():
            parameter.copy_(torch.from_numpy(tensors[f"weights/{name}"]))
    for name in average:
        average[name] = torch.from_numpy(tensors[f"average/{name}"]).to(average[name].device)
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = torch.from_numpy(value)
    optimizer.load_state_dict({"state": state, "param_groups": description["param_groups"]})
    rng.bit_generator.state = description["rng"]
    torch.set_rng_state(torch.from_numpy(tensors["torch_rng"]))
    progress: dict[str, Any] = description["progress"]
    return progress


def _description(path: Path) -> dict[str, Any]:
    try:
        description: dict[str, Any] = json.loads(read_metadata(path)["samzoo"])
        version, progress = description["version"], description["progress"]
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"{path}: not a training checkpoint of samzoo") from error
    if version != FORMAT_VERSION or not isinstance(progress, dict):
        raise FormatError(
            f"{path}: a checkpoint of version {shown(version)}, expected {FORMAT_VERSION}"
        )
    return description


def _array(value: Tensor) -> Any:
    return value.detach().cpu().numpy()
