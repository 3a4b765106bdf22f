"""Descriptions of Zarr images from strangers: one message that names the image."""

import json

import numpy as np
import pytest

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.images.opening import read_plane
from samzoo.runtime.pixels import zarr_source
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.zarr_source import scale_of


@pytest.fixture
def image(tmp_path):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.create_array("0", data=np.arange(100, dtype=np.uint8).reshape(10, 10))
    axes = [{"name": "y"}, {"name": "x"}]
    group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    return tmp_path / "a.zarr"


def read(image):
    return read_plane(SourceSpec(str(image)))


def test_an_image_is_read(image):
    assert read(image).sum() == 4950


@pytest.mark.parametrize(
    "attributes",
    [
        {"ome": None},
        {"ome": 3},
        {"ome": []},
        {"multiscales": None},
        {"multiscales": [None]},
        {"multiscales": [{"datasets": [{"path": "0"}], "axes": 5}]},
        {"multiscales": [{"datasets": [{"path": "0"}], "axes": None}]},
        {"multiscales": [{"datasets": [{"path": "../b"}]}]},
        {"multiscales": [{"datasets": [{"path": "1"}]}]},
        {"multiscales": [{"datasets": [{}]}]},
        {"multiscales": [{"datasets": []}]},
        {"multiscales": {"0": 1}},
        [],
    ],
)
def test_attributes_that_are_no_image_are_refused(image, attributes):
    (image / ".zattrs").write_text(json.dumps(attributes))
    with pytest.raises((ImageError, InputError), match=str(image)):
        read(image)


@pytest.mark.parametrize("name", [".zattrs", ".zgroup", "0/.zarray"])
@pytest.mark.parametrize("text", ["", "[" * 5000, '{"a":' * 700 + "1" + "}" * 700, "nul", "\0"])
def test_descriptions_that_are_no_json_are_refused(image, name, text):
    (image / name).write_text(text)
    with pytest.raises(ImageError, match=str(image)):
        read(image)


def test_a_large_description_is_refused_before_it_is_parsed(image, monkeypatch):
    monkeypatch.setattr(zarr_source, "MAX_ZARR_BYTES", 50)
    with pytest.raises(ImageError, match=r"\.zattrs: found \d+ bytes, allowed are 50"):
        read(image)


def test_pixel_sizes_too_large_for_a_float_are_none():
    scale = [{"type": "scale", "scale": [10**400, 2]}]
    found = scale_of({"datasets": [{"coordinateTransformations": scale}]}, 0)
    assert found == [float("inf"), 2.0]
