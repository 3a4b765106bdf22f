"""Writing labels of any size as OME-Zarr: into an image that is there, or with a copy of the image.

In: bands of labels. Out: ``IMAGE.zarr/labels/NAME``, or a new ``NAME.zarr`` with the image and
``labels/objects``. A store gets its name when it is complete. Called by ``segment.py``.
"""

from __future__ import annotations

import math
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.arrays import Progress
from samzoo.runtime.errors import InputError, OutputExistsError, StorageError, require
from samzoo.runtime.outputs import check_output_folder, write_folder

from .result import Result
from .source import STRIP, ImageSource, SourceSpec
from .zarr_pyramid import CHUNK, Layout, Pyramid, make_group
from .zarr_source import description, is_zarr

LABELS = "labels"
DEFAULT_NAME = "objects"
DEFAULT_VERSION = "0.5"
SPACE = ({"name": "y", "type": "space"}, {"name": "x", "type": "space"})


def write_label_zarr(
    path: Path,
    result: Result,
    source: ImageSource,
    spec: SourceSpec,
    progress: Progress | None = None,
    *,
    force: bool = False,
) -> None:
    """Write labels as OME-Zarr.

    Args:
        path: ``IMAGE.zarr/labels/NAME`` of the image that was segmented, or a new ``NAME.zarr``.
        result: The labels.
        source: The image.
        spec: Which image that is.
        progress: Called with ("write", rows done, rows in all).
        force: Replace what is there.

    Raises:
        InputError: ``path`` is neither.
        OutputExistsError: It is there, and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
        MissingDependencyError: zarr is not installed.
    """
    require("zarr", extra="large")
    image = attached_image(path)
    if image is not None:
        _attach(path, image, result, spec, progress, force=force)
        return

    def fill(folder: Path) -> None:
        group = make_group(str(folder), DEFAULT_VERSION)
        _copy_image(group, source, progress)
        names = group.create_group(LABELS)
        _set_names(names, DEFAULT_VERSION, [DEFAULT_NAME])
        layout = Layout(DEFAULT_VERSION, SPACE, (1.0, 1.0), _chunk(result))
        _write_labels(names.create_group(DEFAULT_NAME), layout, (), result, progress)

    write_folder(path, fill, force=force)


def attached_image(path: Path) -> Path | None:
    """Return the image that ``IMAGE.zarr/labels/NAME`` belongs to; None for a new store.

    Raises:
        InputError: It is inside a Zarr, but at another place.
    """
    outer = next((parent for parent in path.parents if is_zarr(parent)), None)
    if outer is None:
        return None
    image = path.parent.parent
    if path.parent.name != LABELS or not is_zarr(image):
        raise InputError(
            f"{path}: lies in the Zarr {outer}; labels of an image belong into IMAGE/labels/NAME"
        )
    return image


def check_zarr_output(path: Path, spec: SourceSpec, *, force: bool) -> None:
    """Refuse, before any work, an output that cannot be written.

    Raises:
        InputError: It lies in a Zarr that is not the image.
        OutputExistsError: It is there, and ``force`` is false.
    """
    image = attached_image(path)
    if image is not None and image.resolve() != Path(spec.path).resolve():
        raise InputError(f"{path}: is of the image {image}, but {spec.path} is segmented")
    if image is None:
        check_output_folder(path, force=force, inputs=[Path(spec.path)])
    elif path.exists() and not force:
        raise OutputExistsError(f"{path}: exists already; pass --force to replace it")


def _attach(
    path: Path,
    image: Path,
    result: Result,
    spec: SourceSpec,
    progress: Progress | None,
    *,
    force: bool,
) -> None:
    """Write beside the name, then take the name, then list it: a reader sees all or nothing."""
    zarr = require("zarr", extra="large")
    check_zarr_output(path, spec, force=force)
    parent = zarr.open_group(str(image), mode="r+")
    attributes = parent.attrs.asdict()
    version = DEFAULT_VERSION if "ome" in attributes else "0.4"
    layout, lead = _layout_of(attributes, spec, version, _chunk(result))
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        names = parent.require_group(LABELS)
        group = make_group(str(temporary), version)
        _write_labels(group, layout, lead, result, progress)
        if path.exists():
            shutil.rmtree(path)
        os.replace(temporary, path)
        inside = names.attrs.asdict()
        listed = list(inside.get("ome", inside).get("labels", []))
        _set_names(names, version, sorted({*listed, path.name}))
    except OSError as error:
        raise StorageError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _layout_of(
    attributes: dict[str, Any], spec: SourceSpec, version: str, chunk: int
) -> tuple[Layout, tuple[int, ...]]:
    """The image's axes without its channels, and its scale at the level that was segmented."""
    multiscale = description(attributes, spec.path)
    axes = [a if isinstance(a, dict) else {"name": a} for a in multiscale["axes"]]
    transforms = multiscale["datasets"][spec.level].get("coordinateTransformations") or []
    scale = next((t["scale"] for t in transforms if t.get("type") == "scale"), [1.0] * len(axes))
    kept = [i for i, axis in enumerate(axes) if axis["name"] != "c"]
    layout = Layout(version, [axes[i] for i in kept], [float(scale[i]) for i in kept], chunk)
    return layout, tuple(1 for _ in kept[:-2])


def _write_labels(
    group: Any,
    layout: Layout,
    lead: tuple[int, ...],
    result: Result,
    progress: Progress | None,
) -> None:
    pyramid = Pyramid(group, layout, (*lead, *result.size), result.dtype, labels=True)
    row = 0
    for band in result.bands():
        pyramid.write(tuple(0 for _ in lead), row, 0, band.astype(result.dtype))
        row += len(band)
        if progress is not None:
            progress("write", row, result.size[0])
    image_label: dict[str, Any] = {"source": {"image": "../../"}}
    if layout.version == "0.4":
        image_label["version"] = "0.4"
    pyramid.finish({"image-label": image_label})


def _copy_image(group: Any, source: ImageSource, progress: Progress | None) -> None:
    axes: list[dict[str, str]] = list(SPACE)
    lead: tuple[int, ...] = ()
    if source.channels > 1:
        axes.insert(0, {"name": "c", "type": "channel"})
        lead = (source.channels,)
    layout = Layout(DEFAULT_VERSION, axes, [1.0] * len(axes))
    pyramid = Pyramid(group, layout, (*lead, *source.size), source.dtype, labels=False)
    height, width = source.size
    for y in range(0, height, STRIP):
        for x in range(0, width, STRIP):
            window = source.read((y, x, min(y + STRIP, height), min(x + STRIP, width)))
            values = window if window.ndim == 2 else np.moveaxis(window, -1, 0)
            pyramid.write(tuple(slice(None) for _ in lead), y, x, values)
        if progress is not None:
            progress("copy", min(y + STRIP, height), height)
    pyramid.finish()


def _set_names(group: Any, version: str, names: list[str]) -> None:
    if version == "0.4":
        group.attrs["labels"] = names
    else:
        group.attrs["ome"] = {"version": version, "labels": names}


def _chunk(result: Result) -> int:
    """So that no chunk lies in two bands."""
    return math.gcd(result.band_height, CHUNK)
