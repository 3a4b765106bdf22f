"""The names of a file's channels, as OME-XML, ImageJ, Micro-Manager, LSM, QPTIFF and OME-Zarr say.

In: an opened TIFF or a Zarr's attributes. Out: a name for each channel, or nothing.

Sources: OME schema 2016-06, ``Channel``; tifffile 2026, ``imagej_metadata`` and
``micromanager_metadata``; OME-NGFF 0.5, ``omero``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

import tifffile

from .channels import COLOURS

_RGB = ("FF0000", "00FF00", "0000FF")


def names_in_tiff(file: tifffile.TiffFile, series: int, count: int) -> tuple[str, ...]:
    """Read the names of a TIFF's channels.

    Args:
        file: The opened file.
        series: Number of the image.
        count: Number of its channels.

    Returns:
        Names; empty if the file states none, or another number of them.
    """
    found: list[Any] = []
    if file.is_ome:
        found = _of_ome(file.ome_metadata, series)
    elif file.is_micromanager:
        summary = (file.micromanager_metadata or {}).get("Summary", {})
        found = summary.get("ChNames") or []
    elif file.is_lsm:
        colours = (file.lsm_metadata or {}).get("ChannelColors") or {}
        found = colours.get("ColorNames") or []
    elif file.is_qpi:
        pages = [page for page in file.series[series].pages if page is not None]
        found = [_of_qpi(page.aspage().description) for page in pages]
    elif file.is_imagej:
        labels = (file.imagej_metadata or {}).get("Labels") or []
        found = labels[:count]
    names = tuple(str(name).strip() for name in found)
    return names if len(names) == count else ()


def _of_ome(text: str | None, series: int) -> list[str]:
    try:
        images = ET.fromstring(text or "").findall("{*}Image/{*}Pixels")
    except ET.ParseError:
        return []
    if series >= len(images):
        return []
    channels = images[series].findall("{*}Channel")
    return [channel.get("Name") or channel.get("Fluor") or "" for channel in channels]


def _of_qpi(text: str) -> str:
    """Read the stain of a page of a QPTIFF (Akoya, PerkinElmer): its biomarker, else its name."""
    try:
        page = ET.fromstring(text)
    except ET.ParseError:
        return ""
    return page.findtext("Biomarker") or page.findtext("Name") or ""


def names_in_zarr(attributes: Mapping[str, Any], count: int) -> tuple[tuple[str, ...], bool]:
    """Read the names of a Zarr's channels.

    Args:
        attributes: Those of the image's group.
        count: Number of its channels.

    Returns:
        Names, empty if none are stated, and whether the channels are red, green and blue. Three
        channels of which nothing is stated are: OME-Zarr has no other way to store colours.
    """
    inside = attributes.get("ome", attributes)
    omero = inside.get("omero", attributes.get("omero"))
    channels = omero.get("channels") if isinstance(omero, Mapping) else None
    if not isinstance(channels, list) or len(channels) != count:
        return (), count == len(COLOURS)
    stated = [channel if isinstance(channel, Mapping) else {} for channel in channels]
    names = tuple(str(channel.get("label") or "") for channel in stated)
    shown = tuple(str(channel.get("color") or "").lstrip("#").upper() for channel in stated)
    by_name = tuple(name.casefold() for name in names) in (COLOURS, ("r", "g", "b"))
    unnamed = not any(names) or all(name.isdigit() or not name for name in names)
    return names, by_name or (shown == _RGB and unnamed)
