"""Labels of any size, written as OME-Zarr: into the image's store or into a new one.

In: labels, window by window. Out: ``IMAGE.zarr/labels/NAME`` in an existing image, or a new
``NAME.zarr`` with a copy of the image and ``labels/objects``. A store gets its name when it is
complete.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.dependencies import require
from samzoo.runtime.errors import InputError, OutputExistsError, StorageError
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.outputs import check_output_folder, new_folder, write_folder
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.opening import stack_shape
from samzoo.runtime.images.origin import RECORD, LabelFacts
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.zarr_source import description, is_zarr, scale_of

from .opening import open_source
from .pixel_size import PixelSize, pixel_sizes
from .zarr_pyramid import CHUNK, Layout, Pyramid, make_group

LABELS = "labels"
DEFAULT_NAME = "objects"
DEFAULT_VERSION = "0.5"
SPACE = ({"name": "y", "type": "space"}, {"name": "x", "type": "space"})
PLANES = {"t": {"name": "t", "type": "time"}, "z": {"name": "z", "type": "space"}}
COLOURS = {"name": "c", "type": "channel"}


class Labels(Protocol):
    """Labels of one plane or of several, window by window."""

    size: Size
    dtype: np.dtype[Any]
    plane_axes: str

    @property
    def planes(self) -> tuple[int, ...]:
        """Lengths of the axes before the rows; empty for one plane."""

    @property
    def band_height(self) -> int:
        """Rows of a window."""

    def windows(self) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
        """Yield plane, first row and values of each window."""


class StackLabels:
    """Labels of all planes, held in memory.

    Args:
        values: ``(..., height, width)``.
        plane_axes: A letter for each axis before height: ``t`` time, ``z`` slices.
    """

    def __init__(self, values: NDArray[Any], plane_axes: str) -> None:
        self._values, self.plane_axes = values, plane_axes
        self.size: Size = (values.shape[-2], values.shape[-1])
        self.dtype = values.dtype
        self.planes = values.shape[:-2]
        self.band_height = CHUNK

    def windows(self) -> Iterator[tuple[tuple[int, ...], int, NDArray[Any]]]:
        """See ``Labels``."""
        for index in np.ndindex(*self.planes):
            yield index, 0, self._values[index]


def write_label_zarr(
    path: Path,
    labels: Labels,
    spec: SourceSpec,
    progress: Progress | None = None,
    *,
    force: bool = False,
    facts: LabelFacts = None,
) -> None:
    """Write labels as OME-Zarr.

    Args:
        path: ``IMAGE.zarr/labels/NAME`` inside the segmented image, or a new ``NAME.zarr``.
        labels: Labels of one plane or of all planes.
        spec: The segmented image.
        progress: Called with ("write", rows done, rows in all).
        force: Replace existing labels.
        facts: How the labels were made, for the attributes of their group.

    Raises:
        InputError: ``path`` is neither of the two.
        OutputExistsError: ``path`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
        MissingDependencyError: zarr is not installed.
    """
    require("zarr", extra="large")
    attached = attached_image(path)
    if attached is not None:
        _attach(path, attached, labels, spec, progress, force=force, facts=facts)
        return

    planes = labels.planes
    if not set(labels.plane_axes) <= set(PLANES):
        raise InputError(
            f"{path}: OME-Zarr has no axes for planes of shape {planes}; write a .tif file"
        )
    sizes = pixel_sizes(spec)
    axes = [PLANES[name] for name in labels.plane_axes]

    def fill(folder: Path) -> None:
        image = make_group(str(folder), DEFAULT_VERSION)
        _copy_image(image, spec, planes, axes, sizes, progress)
        names = image.create_group(LABELS)
        _set_names(names, DEFAULT_VERSION, [DEFAULT_NAME])
        layout = _new_layout([*axes, *SPACE], sizes, _chunk(labels))
        group = names.create_group(DEFAULT_NAME)
        _write_labels(group, layout, planes, 0, labels, progress, facts)

    write_folder(path, fill, force=force)


def attached_image(path: Path) -> Path | None:
    """Return the image to which ``IMAGE.zarr/labels/NAME`` belongs; None for a new store.

    Raises:
        InputError: ``path`` lies at another place inside a Zarr.
    """
    outer = next((parent for parent in path.parents if is_zarr(parent)), None)
    if outer is None:
        return None
    image = path.parent.parent
    if path.parent.name != LABELS or not is_zarr(image):
        raise InputError(f"{path}: lies in the Zarr {outer}; write labels to IMAGE/labels/NAME")
    return image


def check_zarr_output(path: Path, spec: SourceSpec, *, force: bool) -> None:
    """Refuse an output that cannot be written, before any work is done.

    Raises:
        InputError: ``path`` lies in a Zarr that is not the image.
        OutputExistsError: ``path`` exists and ``force`` is false.
    """
    image = attached_image(path)
    if image is not None and image.resolve() != Path(spec.path).resolve():
        raise InputError(
            f"{path}: lies in the image {image}, but {spec.path} is segmented; name another output"
        )
    if image is None:
        check_output_folder(path, force=force, inputs=[Path(spec.path)])
    elif path.exists() and not force:
        raise OutputExistsError(f"{path}: exists already; pass --force to replace it")


def _attach(
    path: Path,
    image: Path,
    labels: Labels,
    spec: SourceSpec,
    progress: Progress | None,
    *,
    force: bool,
    facts: LabelFacts,
) -> None:
    """Write beside the name, then rename, then list the name: readers see all or nothing."""
    zarr = require("zarr", extra="large")
    check_zarr_output(path, spec, force=force)
    parent = zarr.open_group(str(image), mode="r+")
    attributes = parent.attrs.asdict()
    version = DEFAULT_VERSION if "ome" in attributes else "0.4"
    layout, planes = _layout_of(attributes, spec, version, _chunk(labels))
    # Beside the image, so that nothing half-written ever lies in the user's data.
    outside = image.resolve().parent
    beside = outside if os.access(outside, os.W_OK) and _on_one_disk(outside, image) else None
    try:
        names = parent.require_group(LABELS)
        with new_folder(path, beside=beside) as temporary:
            group = make_group(str(temporary), version)
            _write_labels(group, layout, planes, spec.plane or 0, labels, progress, facts)
        inside = names.attrs.asdict()
        listed = list(inside.get("ome", inside).get("labels", []))
        _set_names(names, version, sorted({*listed, path.name}))
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error


def _on_one_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _layout_of(
    attributes: dict[str, Any], spec: SourceSpec, version: str, chunk: int
) -> tuple[Layout, tuple[int, ...]]:
    """Return the image's axes without channels, its scale at the level, and its planes."""
    multiscale = description(attributes, spec.path)
    axes = [a if isinstance(a, dict) else {"name": a} for a in multiscale["axes"]]
    scale = scale_of(multiscale, spec.level)
    scale += [1.0] * (len(axes) - len(scale))
    kept = [i for i, axis in enumerate(axes) if axis["name"] != "c"]
    layout = Layout(version, [axes[i] for i in kept], [scale[i] for i in kept], chunk)
    return layout, stack_shape(spec)[:-2]


def _write_labels(
    group: Any,
    layout: Layout,
    planes: tuple[int, ...],
    plane: int,
    labels: Labels,
    progress: Progress | None,
    facts: LabelFacts,
) -> None:
    """Write labels of all planes, or of one plane; the other planes stay background."""
    pyramid = Pyramid(group, layout, (*planes, *labels.size), labels.dtype, labels=True)
    chosen = tuple(int(i) for i in np.unravel_index(plane, planes)) if planes else ()
    for index, row, values in labels.windows():
        pyramid.write(index or chosen, row, 0, values)
        if progress is not None:
            progress("write", row + len(values), labels.size[0])
    image_label: dict[str, Any] = {"source": {"image": "../../"}}
    if layout.version == "0.4":
        image_label["version"] = "0.4"
    record = {RECORD: dict(facts)} if facts else {}
    pyramid.finish({"image-label": image_label, **record})


def _copy_image(
    group: Any,
    spec: SourceSpec,
    planes: tuple[int, ...],
    axes: Sequence[dict[str, str]],
    sizes: Mapping[str, PixelSize],
    progress: Progress | None,
) -> None:
    """Copy the segmented image: one plane, or all planes."""
    with closing(open_source(dataclasses.replace(spec, plane=spec.plane or 0))) as first:
        size, channels, dtype = first.size, first.channels, first.dtype
    colours = (channels,) if channels > 1 else ()
    layout = _new_layout([*axes, *([COLOURS] if colours else []), *SPACE], sizes)
    pyramid = Pyramid(group, layout, (*planes, *colours, *size), dtype, labels=False)
    for number, index in enumerate(np.ndindex(*planes)):
        chosen = dataclasses.replace(spec, plane=number) if planes else spec
        with closing(open_source(chosen)) as source:
            for y, x, window in source.windows():
                values = window if window.ndim == 2 else np.moveaxis(window, -1, 0)
                pyramid.write((*index, *(slice(None) for _ in colours)), y, x, values)
                if progress is not None:
                    progress("copy", y + len(window), size[0])
    pyramid.finish()


def _new_layout(
    axes: Sequence[dict[str, str]], sizes: Mapping[str, PixelSize], chunk: int = CHUNK
) -> Layout:
    """Return a new store's axes, with the image's units and pixel sizes, or 1 if it has none."""
    described, scale = [], []
    for axis in axes:
        size, unit = sizes.get(axis["name"], PixelSize(1.0, None))
        described.append(axis if unit is None else {**axis, "unit": unit})
        scale.append(size)
    return Layout(DEFAULT_VERSION, described, scale, chunk)


def _set_names(group: Any, version: str, names: list[str]) -> None:
    if version == "0.4":
        group.attrs["labels"] = names
    else:
        group.attrs["ome"] = {"version": version, "labels": names}


def _chunk(labels: Labels) -> int:
    """Return the side of a chunk, chosen so that no chunk lies in two bands."""
    return math.gcd(labels.band_height, CHUNK)
