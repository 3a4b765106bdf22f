"""The size of a pixel, as stated in OME-XML, ImageJ's description, or OME-Zarr.

In: a ``SourceSpec``. Out: the pixel size along each axis. Sizes that are missing or not positive
are left out. Other TIFFs' resolution is not read, because it is meant for printers.

Sources: OME schema 2016-06, ``Pixels``; tifffile 2026, ``imagej_metadata``; OME-NGFF 0.5, axes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import tifffile

from samzoo.runtime.dependencies import require
from samzoo.runtime.pixels.decoders import decoding
from samzoo.runtime.pixels.kinds import is_tiff
from samzoo.runtime.pixels.orientation import TAG, orientation_of, swaps_axes
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.tiff.source import series_number
from samzoo.runtime.pixels.zarr_source import description, is_zarr, open_zarr, scale_of

UNITS = {
    "m": "meter", "cm": "centimeter", "mm": "millimeter", "nm": "nanometer", "Å": "angstrom",
    "µm": "micrometer", "μm": "micrometer", "\\u00B5m": "micrometer", "um": "micrometer",
    "micron": "micrometer", "microns": "micrometer",
    "s": "second", "sec": "second", "ms": "millisecond", "min": "minute", "h": "hour",
}  # fmt: skip
"""OME-NGFF's names for the units of OME-XML and ImageJ; both signs for micro are in use."""


class PixelSize(NamedTuple):
    """The pixel size along one axis; ``unit`` is OME-NGFF's name, or None if it is not known."""

    size: float
    unit: str | None


def pixel_sizes(spec: SourceSpec) -> dict[str, PixelSize]:
    """Read the sizes of pixels along ``t``, ``z``, ``y`` and ``x``.

    Args:
        spec: The file, series and level.

    Returns:
        Sizes by axis, at that level; an axis without a stated size is left out.
    """
    path = Path(spec.path)
    if is_zarr(path):
        return _of_zarr(spec)
    if not is_tiff(path):
        return {}
    with decoding(spec.path, "TIFF"), tifffile.TiffFile(path) as file:
        number = series_number(spec, file, [])
        series = file.series[number]
        found = _of_ome(file, number) if file.is_ome else _of_imagej(file)
        full, level = series.levels[0], series.levels[spec.level]
        for axis in "yx":
            if axis in found and axis.upper() in level.axes:
                place = level.axes.index(axis.upper())
                factor = full.shape[place] / level.shape[place]
                found[axis] = found[axis]._replace(size=found[axis].size * factor)
        tag = series.keyframe.aspage().tags.get(TAG)
        if swaps_axes(orientation_of(None if tag is None else tag.value)):
            turned = {"y": "x", "x": "y"}
            found = {turned.get(axis, axis): size for axis, size in found.items()}
    return found


def _of_ome(file: tifffile.TiffFile, series: int) -> dict[str, PixelSize]:
    try:
        root = ET.fromstring(file.ome_metadata or "")
    except ET.ParseError:
        return {}
    images = root.findall("{*}Image/{*}Pixels")
    if series >= len(images):
        return {}
    pixels = images[series].attrib
    stated = {
        axis: (pixels.get(f"PhysicalSize{axis.upper()}"),
               pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm"))
        for axis in "zyx"
    }  # fmt: skip
    stated["t"] = (pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    return _known(stated)


def _of_imagej(file: tifffile.TiffFile) -> dict[str, PixelSize]:
    told = file.imagej_metadata
    if told is None:
        return {}
    unit = told.get("unit")
    stated = {"t": (told.get("finterval"), told.get("tunit", "s"))}
    if unit and unit != "pixel":
        stated["z"] = (told.get("spacing"), unit)
        for axis, tag in (("y", "YResolution"), ("x", "XResolution")):
            if tag in file.pages.first.tags:
                pixels, units = file.pages.first.tags[tag].value
                stated[axis] = (units / pixels if pixels else None, unit)
    return _known(stated)


def _of_zarr(spec: SourceSpec) -> dict[str, PixelSize]:
    zarr = require("zarr", extra="large")
    opened = open_zarr(spec.path)
    if isinstance(opened, zarr.Array):
        return {}
    multiscale = description(opened.attrs.asdict(), spec.path)
    axes = [
        axis if isinstance(axis, Mapping) else {"name": axis}
        for axis in multiscale.get("axes") or []
    ]
    return _known({
        str(axis.get("name")): (size, axis.get("unit"))
        for axis, size in zip(axes, scale_of(multiscale, spec.level), strict=False)
        if axis.get("name") in ("t", "z", "y", "x")
    })  # fmt: skip


def _known(stated: Mapping[str, tuple[Any, Any]]) -> dict[str, PixelSize]:
    found = {}
    for axis, (size, unit) in stated.items():
        try:
            value = float(size)
        except (OverflowError, TypeError, ValueError):
            continue
        if math.isfinite(value) and value > 0:
            known = UNITS.get(str(unit), unit if unit in UNITS.values() else None)
            found[axis] = PixelSize(value, known)
    return found
