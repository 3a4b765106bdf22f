"""The checkpoint of a training run: all that it needs to continue, in one safetensors file.

In: the trained weights, their average, the optimiser, random states, history. Out: one file,
replaced as a whole, so that a crash leaves the previous one.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from samzoo.runtime.errors import FormatError, NotFoundError, shown
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.fields import parse_json
from samzoo.runtime.formats.files import read_metadata, read_tensors
from samzoo.runtime.formats.tensor_files import TensorFile, TensorInfo, stream_tensors

FORMAT_VERSION = 1

DIGEST, SHA256 = "tensors_digest", "samzoo_sha256"
"""Where a checkpoint has the digest of its tensors and, beside its description, the hash of that.
Older ones have neither."""


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
    text = json.dumps({
        "version": FORMAT_VERSION,
        "param_groups": state["param_groups"],
        "rng": rng.bit_generator.state,
        "progress": dict(progress),
        DIGEST: weights_digest(tensors),
    })  # fmt: skip
    # One tensor at a time: a copy of all of them would be the most that a run needs.
    info = {name: TensorInfo(value.dtype.name, value.shape) for name, value in tensors.items()}
    stream_tensors(path, tensors, info, {"samzoo": text, SHA256: _sha256(text)})


def read_progress(path: Path) -> dict[str, Any]:
    """Read the ``progress`` of a checkpoint, and nothing else.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, or one of another version.
    """
    progress: dict[str, Any] = _description(path)["progress"]
    return progress


def newest_state(paths: Sequence[Path]) -> tuple[Path, list[str]]:
    """Find the newest checkpoint of a run that is not damaged.

    Args:
        paths: Checkpoints, the newest first; those that do not exist are left out.

    Returns:
        The checkpoint, and what is wrong with each newer one.

    Raises:
        NotFoundError: None exists.
        FormatError: All are damaged; the message is about the newest.
    """
    problems: list[FormatError] = []
    for path in paths:
        if not path.is_file():
            continue
        try:
            _whole(path)
        except FormatError as error:
            problems.append(error)
            continue
        return path, [f"{error}; went on from {path.name} instead" for error in problems]
    if problems:
        raise problems[0]
    raise NotFoundError(f"{paths[0]}: no such file; there is no run to resume")


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
    description = _whole(path)
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
    try:
        _restore(description, tensors, optimizer, rng)
    # All that torch and NumPy raise for a state that is not theirs.
    except (
        ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise FormatError(f"{path}: the optimiser's state is damaged ({error})") from error
    progress: dict[str, Any] = description["progress"]
    return progress


def _restore(
    description: Mapping[str, Any],
    tensors: Mapping[str, Any],
    optimizer: torch.optim.Optimizer,
    rng: np.random.Generator,
) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, index, key = name.split("/")
            state.setdefault(int(index), {})[key] = torch.from_numpy(value)
    optimizer.load_state_dict({"state": state, "param_groups": description["param_groups"]})
    rng.bit_generator.state = description["rng"]
    torch.set_rng_state(torch.from_numpy(tensors["torch_rng"]))


def _whole(path: Path) -> dict[str, Any]:
    """Read a checkpoint, and check its tensors against their digest."""
    description = _description(path)
    expected, found = description.get(DIGEST), weights_digest(TensorFile(path))
    if expected is not None and found != expected:
        raise FormatError(
            f"{path}: {DIGEST}: found {shown(expected)}, the tensors have {found}; the file is "
            "damaged"
        )
    return description


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _description(path: Path) -> dict[str, Any]:
    metadata = read_metadata(path)
    text = metadata.get("samzoo", "")
    if metadata.get(SHA256, _sha256(text)) != _sha256(text):
        raise FormatError(f"{path}: its description is damaged, its sha256 is another")
    description: Any = parse_json(text, where=str(path), kind="samzoo training checkpoint")
    if not isinstance(description, dict) or not {"version", "progress"} <= set(description):
        raise FormatError(f"{path}: not a training checkpoint of samzoo")
    version, progress = description["version"], description["progress"]
    if version != FORMAT_VERSION or not isinstance(progress, dict):
        raise FormatError(
            f"{path}: a checkpoint of version {shown(version)}, expected {FORMAT_VERSION}"
        )
    found: dict[str, Any] = description
    return found


def _array(value: Tensor) -> Any:
    return value.detach().cpu().numpy()
