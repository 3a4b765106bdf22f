"""Outlines as GeoJSON, as QuPath writes and reads it.

In: outlines, and what is known of each object. Out: one feature for each, as JSON.

Source: QuPath 0.5, ``qupath/lib/io/PathObjectTypeAdapters.java`` (keys of a feature),
``GeometryTypeAdaptersJTS.java`` (geometry) and ``ImagePlaneTypeAdapter`` (plane).
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .rings import Outline, Polygon

CLASS = "Object"
"""QuPath's class of all objects; the model says what they are (own choice)."""

CLASS_COLOUR = [230, 159, 0]
"""(red, green, blue) of the class, the first of the overlays' palette."""


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Where in a stack an outline is, from 0.

    Attributes:
        slice: Number of the slice; None if there are no slices.
        frame: Number of the frame; None if there are no frames.
    """

    slice: int | None = None
    frame: int | None = None


ONLY = Plane()
"""The plane of an image that has one."""


def feature(
    outline: Outline, *, image: str, plane: Plane = ONLY, measurements: Mapping[str, float]
) -> dict[str, Any]:
    """Return an object as QuPath's JSON.

    Args:
        outline: An outline with at least one polygon.
        image: Name of the image. It, the label and the plane give the object's id, which is the
            same each time.
        plane: Where the object is in a stack.
        measurements: What is known of the object.

    Returns:
        A GeoJSON feature: a detection with name, class, measurements and, in a stack, its plane.
    """
    polygons = [_coordinates(polygon) for polygon in outline.polygons]
    geometry: dict[str, Any] = {"type": "Polygon", "coordinates": polygons[0]}
    if len(polygons) > 1:
        geometry = {"type": "MultiPolygon", "coordinates": polygons}
    if plane != ONLY:
        geometry["plane"] = {"c": -1, "z": plane.slice or 0, "t": plane.frame or 0}
    known = f"samzoo:{image}:{outline.label}:{plane.slice}:{plane.frame}"
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, known)),
        "geometry": geometry,
        "properties": {
            "objectType": "detection",
            "name": str(outline.label),
            "classification": {"name": CLASS, "color": CLASS_COLOUR},
            "isLocked": False,
            "measurements": dict(measurements),
        },
    }


def _coordinates(polygon: Polygon) -> list[list[list[int]]]:
    """Close each ring: GeoJSON repeats the first corner."""
    return [[*points, points[0]] for points in (ring.tolist() for ring in polygon)]
