"""Files of micro-sam: reading of state dicts, exports and trainer files, and writing of ``.pt``.

In: a file. Out: its tensors by micro-sam's names, an AIS decoder's under ``ais_decoder.``. Writing
goes the other way.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import require
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX
from samzoo.zoo.checkpoints.reading import as_weights, read_state_dicts

from .micro_sam_names import split_quantized


def read_checkpoint_file(path: Path) -> Tensors:
    """Read a checkpoint's tensors without running any code in it.

    Returns:
        Tensors by name in float32; weights that bitsandbytes packed stay as they are.

    Raises:
        NotFoundError: There is no such file.
        FormatError: The file is not a checkpoint, or is damaged.
        StorageError: The file cannot be read.
    """
    found = read_state_dicts(path)
    tensors = {
        **found.model,
        **{AIS_DECODER_PREFIX + name: value for name, value in found.decoder.items()},
    }
    packed = {split_quantized(name)[0] for name in tensors if split_quantized(name)[1]}
    kept = {n: v for n, v in tensors.items() if split_quantized(n)[0] in packed}
    weights = as_weights({n: v for n, v in tensors.items() if n not in kept}, where=str(path))
    return {**weights, **kept}


def save_checkpoint(
    path: Path, state: Mapping[str, Any], decoder: Mapping[str, Any] | None
) -> None:
    """Write the same file as micro-sam's ``export_custom_sam_model``.

    Args:
        path: A file that does not exist yet.
        state: Tensors by micro-sam's names.
        decoder: The ``decoder_state``. None writes ``state`` alone; every tool that takes a plain
            SAM loads it if the method adds no names of its own.

    Raises:
        MissingDependencyError: torch is not installed.
    """
    torch = require("torch", extra="train")

    def to_torch(tensors: Mapping[str, Any]) -> dict[str, Any]:
        return {name: torch.from_numpy(value.copy()) for name, value in tensors.items()}

    content: dict[str, Any] = to_torch(state)
    if decoder is not None:
        content = {"model_state": content, "decoder_state": to_torch(decoder)}
    torch.save(content, path)
