"""Image embeddings that micro-sam has stored, for a samzoo model with the same weights.

In: the Zarr folder that ``precompute_image_embeddings(save_path=...)`` writes for an image or a
stack, tiled or not. Out: ``ImageEmbeddings``, read tile by tile. It needs the extra ``large``.

Source: micro-sam 1.8.14, ``util.py``. Attributes: ``data_signature``, ``tile_shape``, ``halo``,
``model_type``, ``input_size``, ``original_size``. ``features`` is an array ``(1, 256, grid,
grid)``, with an axis of slices before it in a stack; or a group of such arrays, one for each tile,
numbered row by row.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.dependencies import require
from samzoo.runtime.engine.embeddings import ImageEmbeddings
from samzoo.runtime.engine.tile_values import LazyTiles
from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.runtime.formats.arrays import Float3D
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.table import FAMILIES, family_of
from samzoo.runtime.formats.families.vit import vit_of
from samzoo.runtime.images.geometry import Size, input_size
from samzoo.runtime.images.tiles import regular_tiles, whole

FEATURES = "features"
SIGNATURE = ("data_signature", "tile_shape", "halo", "model_type", "input_size", "original_size")


def is_micro_sam(folder: Path) -> bool:
    """Tell whether a Zarr folder holds embeddings of micro-sam."""
    if not (folder / FEATURES).is_dir():
        return False
    attributes = _open(folder).attrs.asdict()
    return all(name in attributes for name in ("data_signature", "model_type"))


def micro_sam_slices(folder: Path) -> int | None:
    """Count the slices of a stack's embeddings; None for an image.

    Raises:
        FormatError: The folder does not hold embeddings of micro-sam.
    """
    features = _open(folder).get(FEATURES)
    # A group has a dataset for each tile; all have the same number of slices.
    array = features.get("0") if hasattr(features, "get") else features
    if array is None:
        raise FormatError(f"{folder}: {FEATURES}: not found; compute the embeddings again")
    return int(array.shape[0]) if array.ndim == 5 else None


def read_micro_sam_embeddings(
    folder: str | Path, config: ModelConfig, *, plane: int | None = None
) -> ImageEmbeddings:
    """Open micro-sam's embeddings.

    The folder does not identify the weights (its ``model_hash`` is that of a file), so the caller
    must pass the ``config`` of the same weights. Kinds and sizes that cannot be right are refused.

    Args:
        folder: The Zarr folder.
        config: The config of the model that will use the embeddings.
        plane: The slice of a stack; None for an image.

    Returns:
        Embeddings with the digest of ``config``, read from the disk when they are asked for.

    Raises:
        NotFoundError: There is no such folder.
        FormatError: The folder does not hold embeddings of micro-sam, or is not complete.
        InputError: Another kind of model made the embeddings, or ``plane`` is missing or does not
            exist.
        MissingDependencyError: zarr is not installed.
    """
    folder = Path(folder)
    group = _open(folder)
    attributes = group.attrs.asdict()
    missing = [name for name in SIGNATURE if name not in attributes]
    if missing or FEATURES not in group:
        what = missing[0] if missing else FEATURES
        raise FormatError(
            f"{folder}: {what}: not found; this is no complete folder of micro-sam's embeddings, "
            "compute them again"
        )
    _check_model(folder, attributes["model_type"], config)
    features = group[FEATURES]
    if attributes["tile_shape"] is None:
        size = _size(attributes["original_size"], folder, "original_size")
        found = _size(attributes["input_size"], folder, "input_size")
        tiles, arrays = whole(size), [features]
        expected = input_size(size, config.image_size, None)
        if found != expected:
            raise InputError(
                f"{folder}: input_size: found {found}, a model of {config.image_size} pixels has "
                f"{expected}; these embeddings are of another model"
            )
    else:
        size = _size(features.attrs.get("shape"), folder, f"{FEATURES}: shape")
        shape = _size(attributes["tile_shape"], folder, "tile_shape")
        tiles = regular_tiles(size, shape, _size(attributes["halo"], folder, "halo", least=0))
        absent = [str(i) for i in range(len(tiles)) if str(i) not in features]
        if absent:
            raise FormatError(
                f"{folder}: {FEATURES}: tile {absent[0]} of {len(tiles)} does not exist; "
                "embeddings of a part of an image (a mask) cannot be used"
            )
        arrays = [features[str(i)] for i in range(len(tiles))]
    for array in arrays:
        _check_array(folder, array, config.grid, plane)

    def read(index: int) -> Float3D:
        values = arrays[index][...] if plane is None else arrays[index][plane]
        found: Float3D = np.asarray(values, np.float32)[0]
        return found

    values = LazyTiles(len(tiles), config.grid, read)
    return ImageEmbeddings(values, tuple(tiles), size, config.weights_digest)


def _open(folder: Path) -> Any:
    zarr = require("zarr", extra="large")
    try:
        return zarr.open_group(str(folder), mode="r")
    except Exception as error:  # zarr has many classes of errors for missing or damaged files
        raise FormatError(f"{folder}: no Zarr group here ({shown(str(error))})") from error


def _check_model(folder: Path, kind: object, config: ModelConfig) -> None:
    encoder = config.architecture.image_encoder
    # micro-sam's own models are called "vit_b_lm" and the like. Other names only tell that the
    # encoder is a ViT.
    size = str(kind)[:5]
    known = any(size in family.sizes for family in FAMILIES)
    family = family_of(encoder)
    fits = family.size(encoder) == size if known else vit_of(encoder) is not None
    if not fits:
        raise InputError(
            f"{folder}: model_type: found {shown(str(kind))}, this model is of another kind; pass "
            "the model that these embeddings were computed with"
        )
    if config.preprocessing.scale is not None:
        raise InputError(
            f"{folder}: this model has a scale of {config.preprocessing.scale:g}, micro-sam's "
            "embeddings are of images resized to the model's size; embed the image with samzoo"
        )


def _check_array(folder: Path, array: Any, grid: int, plane: int | None) -> None:
    shape = tuple(getattr(array, "shape", ()))
    inner = (1, EMBEDDING_CHANNELS, grid, grid)
    if shape[-4:] != inner or len(shape) not in (4, 5):
        raise InputError(
            f"{folder}: {FEATURES}: found shape {shape}, this model has {inner}; these embeddings "
            "are of another model"
        )
    if len(shape) == 5 and (plane is None or not 0 <= plane < shape[0]):
        raise InputError(
            f"{folder}: holds a stack of {shape[0]} slices; choose one of 0 to {shape[0] - 1} with "
            f"plane (--plane), found {plane}"
        )
    if len(shape) == 4 and plane is not None:
        raise InputError(f"{folder}: holds an image, not a stack; leave out plane (--plane)")


def _size(value: object, folder: Path, name: str, *, least: int = 1) -> Size:
    if (
        not isinstance(value, Sequence)
        or len(value) != 2
        or not all(isinstance(v, int) and least <= v < 2**31 for v in value)
    ):
        raise FormatError(f"{folder}: {name}: found {shown(str(value))}, expected two integers")
    return value[0], value[1]
