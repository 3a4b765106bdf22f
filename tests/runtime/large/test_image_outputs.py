"""Outlines beside labels, on every way through a file: whole, in pieces, and by planes."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from samzoo.runtime import InputError, load, segment_file
from samzoo.runtime.large import file_task
from samzoo.runtime.outlines import writing
from samzoo.runtime.outlines.writing import OutlineFormat

BOTH: tuple[OutlineFormat, ...] = ("imagej", "geojson")


@pytest.fixture
def model(toy_package):
    return load(toy_package)


@pytest.fixture
def image(discs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("cells.tif", discs((100, 150), [(20, 20), (64, 96)], high=200))


def features(path):
    return json.loads(Path(path).read_text())["features"]


@pytest.mark.usefixtures("image")
def test_pieces_give_the_outlines_of_the_whole(model, monkeypatch):
    segment_file(model, "cells.tif", "a.tif", outlines=BOTH)
    monkeypatch.setattr(file_task, "WHOLE_PIXELS", 1000)
    assert segment_file(model, "cells.tif", "b.tif", outlines=BOTH).in_pieces
    assert Path("a.geojson").read_text() == Path("b.geojson").read_text()
    assert Path("a_rois.zip").read_bytes() == Path("b_rois.zip").read_bytes()
    areas = [each["properties"]["measurements"]["area"] for each in features("a.geojson")]
    assert areas == np.bincount(tifffile.imread("a.tif").ravel())[1:].tolist()


@pytest.mark.parametrize(("stack", "measure"), [("volume", "voxels"), ("frames", "area")])
def test_a_stack_has_outlines_in_each_plane(model, discs, tmp_path, monkeypatch, stack, measure):
    monkeypatch.chdir(tmp_path)
    places = [[], [(20, 21)], [(20, 22), (40, 50)], [(20, 23)]]
    planes = np.stack([discs((60, 70), each) for each in places])
    tifffile.imwrite("s.tif", planes, photometric="minisblack", metadata={"axes": "ZYX"})
    segment_file(model, "s.tif", "l.tif", stack=stack, outlines=["geojson"])
    labels = tifffile.imread("l.tif")
    axis = "z" if stack == "volume" else "t"
    found = [
        (each["geometry"]["plane"][axis], int(each["properties"]["name"]))
        for each in features("l.geojson")
    ]
    assert found == [(z, n) for z, part in enumerate(labels) for n in np.unique(part[part > 0])]
    assert all(measure in each["properties"]["measurements"] for each in features("l.geojson"))


@pytest.mark.usefixtures("image")
def test_an_image_too_large_for_rois_is_refused_before_any_work(model, monkeypatch):
    monkeypatch.setattr(writing, "LARGEST", 120)
    for whole in (2**24, 1000):
        monkeypatch.setattr(file_task, "WHOLE_PIXELS", whole)
        with pytest.raises(InputError, match="write --outlines geojson"):
            segment_file(model, "cells.tif", "l.tif", outlines=["imagej"])
    assert sorted(path.name for path in Path().glob("*.*")) == ["cells.tif"]


def test_a_stack_with_a_third_axis_has_no_outlines(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("s.tif", np.zeros((1, 2, 2, 20, 20), np.uint8), photometric="minisblack",
                     metadata={"axes": "QTZYX"})  # fmt: skip
    with pytest.raises(InputError, match="not a third axis"):
        segment_file(model, "s.tif", "l.tif", stack="volume", outlines=["geojson"])
