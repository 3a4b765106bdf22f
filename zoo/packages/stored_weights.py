"""A model's weights inside a package, from which the package can be exported again.

In: a model's tensors. Out: ``model.safetensors`` of a package, and back. The runtime does not read
this file; it computes with the weights in the graphs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.files import read_tensors, write_tensors
from samzoo.runtime.formats.folders import WEIGHTS_FILE
from samzoo.runtime.formats.manifest import MANIFEST_FILE, WEIGHTS, Manifest, read_entry
from samzoo.zoo.graphs.storage import MAX_HALF, MIN_BYTES


def is_package(folder: Path) -> bool:
    """Return whether a folder holds a package."""
    return (folder / MANIFEST_FILE).is_file()


def write_weights(folder: Path, tensors: Tensors, *, half: bool) -> None:
    """Write ``model.safetensors``.

    Args:
        folder: The package's folder.
        tensors: The model's tensors by the names of a model folder.
        half: Store large tensors as float16, as the graphs of precision ``fp16`` do.
    """
    stored = {
        name: value.astype(np.float16) if half and _fits(value) else value
        for name, value in tensors.items()
    }
    write_tensors(folder / WEIGHTS_FILE, stored, {"format": "pt"})


def _fits(value: np.ndarray) -> bool:
    return (
        value.dtype == np.float32
        and value.nbytes >= MIN_BYTES
        and float(np.abs(value).max()) <= MAX_HALF
    )


def read_weights(folder: Path) -> tuple[Manifest, Tensors]:
    """Read the weights of a package and check them against the manifest.

    Args:
        folder: The package's folder.

    Returns:
        The manifest, and float32 tensors by the names of a model folder.

    Raises:
        InputError: The package holds no weights, or several models over one encoder.
        FormatError: A file is damaged.
    """
    manifest = Manifest.read(folder)
    if manifest.adapters:
        raise InputError(
            f"{folder}: holds several adapters over one encoder; export one of them from its "
            "adapter folder"
        )
    entry = manifest.graph(WEIGHTS)
    if entry is None:
        raise InputError(
            f"{folder}: holds no weights to export from; use the model or adapter that it was "
            "made from, or export that again with --with-weights"
        )
    if entry.path != WEIGHTS_FILE:
        raise FormatError(f"{folder}: files: weights must be {WEIGHTS_FILE}, found {entry.path}")
    read_entry(folder, entry)  # refuses a file that differs from the manifest
    tensors = read_tensors(folder / WEIGHTS_FILE)
    return manifest, {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in tensors.items()
    }
