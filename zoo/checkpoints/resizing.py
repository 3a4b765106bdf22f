"""Conversion of a base to another image size: positions are interpolated, all other weights stay.

In: a base folder. Out: the same base for a smaller or larger input, made as CellSeg1 and SAMed
make theirs.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from samzoo.runtime.errors import FormatError, InputError
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Array, Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.files import write_json, write_tensors
from samzoo.runtime.formats.folders import CONFIG_FILE, WEIGHTS_FILE
from samzoo.runtime.formats.outputs import check_output_folder, write_folder
from samzoo.runtime.formats.shapes import tensor_shapes

from .base import Base, read_base


def resize_base(base: Path, output: Path, *, image_size: int, force: bool = False) -> ModelConfig:
    """Write a base whose encoder takes images of another size.

    The position embedding is interpolated bilinearly. The relative positions of the blocks with
    global attention are interpolated linearly; the first and last position stay. Windows keep their
    size. The mask decoder does not depend on the size, and neither does a TinyViT, whose positions
    lie within windows.

    Args:
        base: The base's folder.
        output: The base folder to write.
        image_size: Side of the encoder's input, in pixels; a multiple of the patch size.
        force: Replace an existing ``output``.

    Returns:
        The new base's config.

    Raises:
        NotFoundError: A file is missing.
        FormatError: The base is damaged.
        InputError: The size is not possible.
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.

    Source:
        CellSeg1, ``segment_anything/build_sam.py``, ``load_from`` (copy hotaru1227/cellseg1,
        commit 3f23446): bilinear interpolation with ``align_corners=True``.
    """
    check_output_folder(output, force=force, inputs=[base])
    config, tensors = resized(read_base(base), image_size)

    def fill(folder: Path) -> None:
        write_tensors(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
        write_json(folder / CONFIG_FILE, config.to_json())

    write_folder(output, fill, force=force)
    return config


def resized(base: Base, image_size: int) -> tuple[ModelConfig, Tensors]:
    """Interpolate a base's positions, in memory; see ``resize_base``."""
    encoder = base.config.architecture.image_encoder
    pixels = encoder.image_size // encoder.grid  # of one embedding
    if image_size % pixels:
        raise InputError(f"image size: expected a multiple of {pixels}, found {image_size}")
    try:
        encoder = encoder.replaced(image_size=image_size)
    except FormatError as error:
        raise InputError(f"image size: {error}") from error
    tensors = dict(base.tensors)
    architecture = dataclasses.replace(base.config.architecture, image_encoder=encoder)
    _interpolate_positions(tensors, architecture)
    config = dataclasses.replace(
        base.config,
        architecture=architecture,
        weights_digest=weights_digest(tensors),
        source={
            **base.config.source,
            "resized_from": {
                "base_digest": base.config.weights_digest,
                "image_size": base.config.image_size,
            },
        },
    )
    return config, tensors


def _interpolate_positions(tensors: Tensors, architecture: Architecture) -> None:
    """Interpolate the tensors whose shapes depend on the image size: learned positions."""
    for name, shape in tensor_shapes(architecture).items():
        for axis, size in enumerate(shape):
            if tensors[name].shape[axis] != size:
                tensors[name] = interpolated(tensors[name], size, axis=axis)


def interpolated(values: Array, size: int, *, axis: int) -> Array:
    """Interpolate linearly along one axis; the first and last value stay.

    Args:
        values: Any shape.
        size: New length of the axis.
        axis: The axis.

    Returns:
        float32 array of the same shape except along that axis.

    >>> interpolated(np.array([0.0, 1.0, 4.0]), 5, axis=0)
    array([0. , 0.5, 1. , 2.5, 4. ], dtype=float32)
    """
    old = values.shape[axis]
    position = np.linspace(0, old - 1, size)
    low = np.clip(np.floor(position).astype(int), 0, max(old - 2, 0))
    shape = [1] * values.ndim
    shape[axis] = size
    weight = (position - low).reshape(shape)
    first = np.take(values, low, axis=axis).astype(np.float64)
    second = np.take(values, np.minimum(low + 1, old - 1), axis=axis).astype(np.float64)
    result: Array = ((1 - weight) * first + weight * second).astype(np.float32)
    return result
