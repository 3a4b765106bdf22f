"""GeoJSON as QuPath writes it."""

import uuid

import numpy as np
import pytest

from samzoo.runtime.outlines.geojson import Plane, feature
from samzoo.runtime.outlines.rings import trace

jsonschema = pytest.importorskip("jsonschema")

RING = {"type": "array", "minItems": 4, "items": {
    "type": "array", "minItems": 2, "maxItems": 2, "items": {"type": "number"}}}  # fmt: skip
POLYGON = {"type": "array", "minItems": 1, "items": RING}
QUPATH = {
    "type": "object",
    "required": ["type", "id", "geometry", "properties"],
    "additionalProperties": False,
    "properties": {
        "type": {"const": "Feature"},
        "id": {"type": "string", "format": "uuid"},
        "geometry": {
            "required": ["type", "coordinates"],
            "properties": {"plane": {
                "required": ["c", "z", "t"], "additionalProperties": {"type": "integer"},
            }},
            "oneOf": [
                {"properties": {"type": {"const": "Polygon"}, "coordinates": POLYGON}},
                {"properties": {"type": {"const": "MultiPolygon"},
                                "coordinates": {"type": "array", "items": POLYGON}}},
            ],
        },
        "properties": {
            "required": ["objectType", "name", "classification", "isLocked", "measurements"],
            "additionalProperties": False,
            "properties": {
                "objectType": {"enum": ["annotation", "detection", "cell", "tile"]},
                "name": {"type": "string"},
                "classification": {
                    "required": ["name", "color"],
                    "properties": {"name": {"type": "string"}, "color": {
                        "type": "array", "minItems": 3, "maxItems": 3,
                        "items": {"type": "integer", "minimum": 0, "maximum": 255}}},
                },
                "isLocked": {"type": "boolean"},
                "measurements": {"type": "object", "additionalProperties": {"type": "number"}},
            },
        },
    },
}  # fmt: skip
"""What QuPath 0.5 reads, from its PathObjectTypeAdapters and GeometryTypeAdaptersJTS."""

LABELS = np.array([[1, 1, 1, 0, 1], [1, 0, 1, 0, 0], [1, 1, 1, 2, 2]], np.int32)


def features(**more):
    more = {"image": "a.tif", "measurements": {"area": 3.0}, **more}
    return [feature(outline, **more) for outline in trace(LABELS)]


def test_features_are_as_qupath_writes_them():
    for each in features() + features(plane=Plane(slice=2)):
        jsonschema.validate(each, QUPATH)


def test_rings_are_closed_and_holes_follow_their_outer_ring():
    several, one = features()
    assert several["geometry"]["type"] == "MultiPolygon"
    assert sorted(len(polygon) for polygon in several["geometry"]["coordinates"]) == [1, 2]
    assert one["geometry"] == {
        "type": "Polygon", "coordinates": [[[3, 2], [5, 2], [5, 3], [3, 3], [3, 2]]],
    }  # fmt: skip


def test_ids_are_uuids_that_stay_and_differ_by_image_label_and_plane():
    everything = [*features(), *features(image="b.tif"), *features(plane=Plane(frame=1))]
    ids = [uuid.UUID(each["id"]) for each in everything]
    assert len(set(ids)) == 6
    assert [each["id"] for each in features()] == [each["id"] for each in features()]


def test_a_plane_is_named_from_zero():
    assert features(plane=Plane(slice=4, frame=1))[0]["geometry"]["plane"] == {
        "c": -1, "z": 4, "t": 1,
    }  # fmt: skip
    assert "plane" not in features()[0]["geometry"]
