"""Windows of an OME-Zarr image (versions 0.4 and 0.5), and of a plain Zarr array.

In: a ``SourceSpec``. Out: a ``Reader`` of one level. It needs the extra ``large``. Missing chunks
read as the fill value, as the format says; ``notes`` says how many there are.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.budgets import MAX_ZARR_BYTES
from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import ImageError, InputError, shown
from samzoo.runtime.formats.arrays import Array

from .axes import Planes
from .channel_names import names_in_zarr
from .decoders import check_plane
from .orientation import UPRIGHT
from .reader import Window
from .source_spec import SourceSpec

VERSIONS = ("0.4", "0.5")
"""Versions of OME-Zarr; 0.4 uses Zarr version 2, 0.5 uses version 3."""

DESCRIPTIONS = (".zattrs", ".zgroup", ".zarray", "zarr.json")

MAX_COUNTED = 2**20
"""Chunks of an array up to which those that are missing are counted, in about a second (own
choice)."""


class ZarrReader:
    """Reads windows of a Zarr array; see ``source.Reader``.

    Args:
        spec: The plane and level to read.

    Raises:
        ImageError: The folder is not an image, or is damaged.
        InputError: The image has no such level, channel or plane.
        MissingDependencyError: zarr is not installed.
    """

    def __init__(self, spec: SourceSpec) -> None:
        self._spec = spec
        array, axes, attributes = open_level(spec)
        self._array = array
        count = array.shape[axes.index("c")] if "c" in axes else 1
        names, coloured = names_in_zarr(attributes, count)
        self.planes = Planes(tuple(array.shape), axes, spec, names, coloured)
        self.dtype: np.dtype[np.generic] = np.dtype(array.dtype)
        self.shape: tuple[int, ...] = self.planes.plane_shape
        self.stack_shape = self.planes.stack_shape
        self.channels: Sequence[str] = self.planes.channel_names if count > 1 else names
        self.orientation = UPRIGHT
        counted = array.nchunks <= MAX_COUNTED
        missing = int(array.nchunks - array.nchunks_initialized) if counted else 0
        self.notes: Sequence[str] = [
            f"{missing} of {array.nchunks} chunks were never written; they read as "
            f"{array.fill_value}, as the format says"
        ] if missing else []  # fmt: skip

    def __call__(self, window: Window) -> Array:
        """See ``Reader``."""
        try:
            picked = self._array[self.planes.index(window)]
        except (ValueError, RuntimeError, OSError, TypeError, LookupError, MemoryError) as error:
            raise ImageError(
                f"{self._spec.path}: window {window} cannot be read ({shown(str(error))}); a chunk "
                "is damaged, copy the image again"
            ) from error
        return self.planes.ordered(np.asarray(picked))

    def close(self) -> None:
        """See ``Reader``."""


def is_zarr(path: str | Path) -> bool:
    """Tell whether a path is a Zarr folder."""
    path = Path(path)
    return path.is_dir() and any((path / name).is_file() for name in DESCRIPTIONS)


def open_level(spec: SourceSpec) -> tuple[Any, str, dict[str, Any]]:
    """Open one level of an image.

    Returns:
        The array, its axes for ``Planes``, and the attributes of the image's group.

    Raises:
        ImageError: The folder is not an image.
        InputError: The image has no such level.
        MissingDependencyError: zarr is not installed.
    """
    zarr = require("zarr", extra="large")
    if spec.series:
        raise InputError(f"{spec.path}: --series: found {spec.series}, a Zarr image has one")
    node = open_zarr(spec.path)
    if isinstance(node, zarr.Array):
        if spec.level:
            raise InputError(f"{spec.path}: --level: found {spec.level}, a plain array has one")
        return _guarded(node, spec.path), _plain_axes(node.shape), {}
    attributes = node.attrs.asdict()
    multiscale = description(attributes, spec.path)
    paths = [entry.get("path") for entry in multiscale["datasets"]]
    if not 0 <= spec.level < len(paths):
        raise InputError(
            f"{spec.path}: --level: found {spec.level}, the image has {len(paths)}: 0 to "
            f"{len(paths) - 1}"
        )
    path = str(paths[spec.level])
    if ".." in path.split("/") or path.startswith("/"):
        raise ImageError(f"{spec.path}: datasets: unsafe path {shown(path)}")
    _check_descriptions(Path(spec.path) / path)
    try:
        array = node[path]
    except Exception as error:
        raise ImageError(f"{spec.path}/{path}: no array here ({shown(str(error))})") from error
    if not isinstance(array, zarr.Array):
        raise ImageError(f"{spec.path}/{path}: is a group, expected an array")
    axes = _axes(multiscale, array.ndim, spec.path)
    return _guarded(array, f"{spec.path}/{path}"), axes, attributes


def open_zarr(path: str | Path) -> Any:
    """Open a stranger's Zarr folder for reading; its arrays are not checked yet.

    Returns:
        A ``zarr.Array`` or ``zarr.Group``.

    Raises:
        ImageError: There is none, or a description is too large or damaged.
        MissingDependencyError: zarr is not installed.
    """
    zarr = require("zarr", extra="large")
    _check_descriptions(Path(path))
    try:
        return zarr.open(str(path), mode="r")
    except Exception as error:  # zarr has many classes of errors for missing or damaged files
        raise ImageError(f"{path}: no Zarr image here ({shown(str(error))})") from error


def _check_descriptions(folder: Path) -> None:
    for name in DESCRIPTIONS:
        path = folder / name
        size = path.stat().st_size if path.is_file() else 0
        if size > MAX_ZARR_BYTES:
            raise ImageError(f"{path}: found {size} bytes, allowed are {MAX_ZARR_BYTES}")


def _guarded(array: Any, where: str) -> Any:
    from .zarr_chunks.arrays import guarded  # takes zarr

    if array.ndim < 2:
        raise ImageError(f"{where}: shape: found {array.shape}, an image has two axes or more")
    check_plane(where, array.shape[-2], array.shape[-1])
    return guarded(array, where=where)


def description(attributes: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Find the one multiscale image in a group's attributes.

    Raises:
        ImageError: There is none, or it has another version.
    """
    inside = attributes.get("ome", attributes)
    if not isinstance(inside, Mapping):
        raise ImageError(f"{where}: attributes: ome: expected an object, found {shown(inside)}")
    found = inside.get("multiscales")
    if not isinstance(found, list) or not found or not isinstance(found[0], Mapping):
        kind = "no OME-Zarr image"
        if "plate" in inside:
            kind = "a plate; name one of its images"
        elif "bioformats2raw.layout" in inside:
            kind = f"a folder of images by bioformats2raw; name one of them, such as {where}/0"
        elif "labels" in inside:
            kind = "a list of label images; name one of them"
        raise ImageError(f"{where}: attributes: no multiscales found, this is {kind}")
    version = str(found[0].get("version") or inside.get("version") or "0.4")
    if version not in VERSIONS:
        raise ImageError(
            f"{where}: multiscales: version: found {shown(version)}, allowed: {', '.join(VERSIONS)}"
        )
    datasets = found[0].get("datasets")
    if not isinstance(datasets, list) or not all(isinstance(d, Mapping) for d in datasets):
        raise ImageError(f"{where}: multiscales: datasets: found {shown(json.dumps(datasets))}")
    return dict(found[0])


def scale_of(multiscale: Mapping[str, Any], level: int) -> list[float]:
    """Return the size of a level's pixels along each axis; empty if none is stated."""
    stated = multiscale["datasets"][level].get("coordinateTransformations")
    for transform in stated if isinstance(stated, list) else []:
        scale = transform.get("scale") if isinstance(transform, Mapping) else None
        if isinstance(scale, list) and all(isinstance(size, int | float) for size in scale):
            return [float(size) if abs(size) < 1e30 else math.inf for size in scale]
    return []


def _axes(multiscale: Mapping[str, Any], ndim: int, where: str) -> str:
    axes = multiscale.get("axes")
    listed = axes if isinstance(axes, list) else []
    names = [axis.get("name") if isinstance(axis, Mapping) else axis for axis in listed]
    letters = "".join(str(name) if name in ("y", "x", "c") else "z" for name in names)
    if len(letters) != ndim:
        raise ImageError(f"{where}: axes: found {shown(str(axes))} for an array of {ndim} axes")
    return letters


def _plain_axes(shape: tuple[int, ...]) -> str:
    if len(shape) == 3 and shape[2] in (3, 4):
        return "yxs"
    return "zzzyx"[-len(shape) :]
