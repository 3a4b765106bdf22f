"""A model's weights inside a package, from which the package can be exported again.

In: a model's tensors. Out: ``model.safetensors`` of a package, and back. The runtime does not read
this file; it computes with the weights in the graphs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import safetensors.numpy

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
    write_tensors(folder / WEIGHTS_FILE, _stored(tensors, half=half), {"format": "pt"})


def weights_file(tensors: Tensors, *, half: bool) -> bytes:
    """Return the bytes of ``model.safetensors``; see ``write_weights``."""
    data: bytes = safetensors.numpy.save(_stored(tensors, half=half), {"format": "pt"})
    return data


def _stored(tensors: Tensors, *, half: bool) -> Tensors:
    return {
        name: value.astype(np.float16) if half and _fits(value) else value
        for name, value in tensors.items()
    }


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
        The manifest, and float32 tensors by the names of a model folder. Of a package with
        adapters, both are those of its default model, as of a package of that alone.

    Raises:
        InputError: The package holds no weights.
        FormatError: A file is damaged.
    """
    manifest = Manifest.read(folder)
    first = manifest.adapters[0] if manifest.adapters else None
    entry = manifest.graph(WEIGHTS, "" if first is None else first.name)
    if first is not None and entry is None:
        raise InputError(
            f"{folder}: holds adapters over a shared encoder, and no weights to export from; "
            "export from the adapter's folder, or share it again with --with-weights"
        )
    if entry is None:
        raise InputError(
            f"{folder}: holds no weights to export from; use the model or adapter that it was "
            "made from, or export that again with --with-weights"
        )
    if entry.path != WEIGHTS_FILE:
        raise FormatError(f"{folder}: files: weights must be {WEIGHTS_FILE}, found {entry.path}")
    read_entry(folder, entry)  # refuses a file that differs from the manifest
    tensors = read_tensors(folder / WEIGHTS_FILE)
    if first is not None:  # what is written from it is a package of one model
        files = tuple(entry for entry in manifest.files if not entry.adapter)
        manifest = dataclasses.replace(
            manifest, model=first.model, adapters=(), files=files,
            license=manifest.license or first.license,
            segments=manifest.segments or first.segments,
            metrics={**first.metrics, **manifest.metrics},
        )  # fmt: skip
    return manifest, {
        name: value.astype(np.float32) if value.dtype == np.float16 else value
        for name, value in tensors.items()
    }
