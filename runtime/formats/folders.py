"""Base and model folders: a config and the weights that belong to it.

In: a folder with ``config.json`` and ``model.safetensors``. Out: both, checked against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from samzoo.runtime.errors import FormatError, shown

from .arrays import Tensors
from .config import ModelConfig
from .digest import weights_digest
from .files import read_tensors
from .tensor_files import TensorFile

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"

Weights = TypeVar("Weights", bound=Mapping[str, Any])


def read_model_folder(folder: Path) -> tuple[ModelConfig, Tensors]:
    """Read a base or model folder into memory.

    Args:
        folder: Holds ``config.json`` and ``model.safetensors``.

    Returns:
        The config, and arrays by name in the file's dtypes, all finite.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, or they do not belong together.
    """
    return _with_config(folder, read_tensors)


def open_model_folder(folder: Path) -> tuple[ModelConfig, TensorFile]:
    """Open a base or model folder, with the checks of ``read_model_folder``, without loading it.

    Returns:
        The config, and a mapping that reads each tensor when it is asked for.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, or they do not belong together.
    """
    return _with_config(folder, TensorFile)


def _with_config(folder: Path, read: Callable[[Path], Weights]) -> tuple[ModelConfig, Weights]:
    config = ModelConfig.read(folder / CONFIG_FILE)
    tensors = read(folder / WEIGHTS_FILE)
    digest = weights_digest(tensors)
    if digest != config.weights_digest:
        raise FormatError(
            f"{folder / CONFIG_FILE}: weights_digest is {shown(config.weights_digest)}, but "
            f"{WEIGHTS_FILE} has {digest}; the files do not belong together"
        )
    return config, tensors
