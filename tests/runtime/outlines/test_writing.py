"""Files of outlines: where they go, when they are refused, and what they hold."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from samzoo.runtime.errors import InputError, OutputExistsError
from samzoo.runtime.outlines.geojson import ONLY, Plane
from samzoo.runtime.outlines.rings import trace
from samzoo.runtime.outlines.writing import (
    check_outlines,
    check_roi_size,
    planes_of,
    write_outlines,
)

LABELS = np.array([[1, 1, 0], [0, 0, 2]], np.int32)


def test_geojson_holds_each_object_with_what_is_known_of_it(tmp_path):
    known = {(ONLY, 1): {"area": 2.0}}
    write_outlines(tmp_path / "a.geojson", "geojson", [(ONLY, trace(LABELS))], image="a.tif",
                   measured=known)  # fmt: skip
    found = json.loads((tmp_path / "a.geojson").read_text())
    assert found["type"] == "FeatureCollection"
    assert [each["properties"]["name"] for each in found["features"]] == ["1", "2"]
    assert [each["properties"]["measurements"] for each in found["features"]] == [
        {"area": 2.0}, {},
    ]  # fmt: skip


def test_no_objects_are_an_empty_collection(tmp_path):
    write_outlines(tmp_path / "a.geojson", "geojson", [(ONLY, [])], image="a", measured={})
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []


@pytest.mark.parametrize(
    ("axes", "expected"),
    [
        ("z", [(2, 0, 0, "0001-z2")]),
        ("t", [(2, 0, 0, "0001-t2")]),
        ("tz", [(0, 2, 1, "0001-z2-t1")]),
    ],
)
def test_rois_of_a_stack_say_where_they_are(tmp_path, axes, expected):
    roifile = pytest.importorskip("roifile")
    planes = planes_of(axes, (1, 2) if axes == "tz" else (2,))
    traced = zip(planes, [[], trace(LABELS[:1])], strict=True)
    write_outlines(tmp_path / "a.zip", "imagej", traced, image="a", measured={})
    found = roifile.roiread(tmp_path / "a.zip")
    found = found if isinstance(found, list) else [found]
    places = [(roi.position, roi.z_position, roi.t_position, roi.name) for roi in found]
    assert places == expected


def test_planes_are_named_in_the_order_of_memory():
    assert planes_of("", ()) == [ONLY]
    assert planes_of("t", (2,)) == [Plane(frame=0), Plane(frame=1)]
    assert planes_of("tz", (2, 2))[1:3] == [Plane(slice=1, frame=0), Plane(slice=0, frame=1)]


def test_existing_files_and_unknown_formats_are_refused(tmp_path):
    labels, wrong = tmp_path / "labels.tif", cast("Any", ("svg",))
    check_outlines(labels, ("imagej", "geojson"), tmp_path / "a.tif", force=False)
    (tmp_path / "labels_rois.zip").touch()
    with pytest.raises(OutputExistsError, match=r"labels_rois\.zip"):
        check_outlines(labels, ("imagej",), tmp_path / "a.tif", force=False)
    check_outlines(labels, ("imagej",), tmp_path / "a.tif", force=True)
    with pytest.raises(InputError, match="found 'svg', allowed are imagej, geojson"):
        check_outlines(labels, wrong, Path("a.tif"), force=True)


def test_an_image_too_large_for_rois_is_refused():
    check_roi_size((9, 60535, 2), "a.tif")
    with pytest.raises(InputError, match="70000 x 5 pixels, and ROIs of ImageJ count to 60535"):
        check_roi_size((5, 70000), "a.tif")
