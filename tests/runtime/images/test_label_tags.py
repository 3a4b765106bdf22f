"""Label TIFFs: read back by tifffile as an ImageJ file or an OME-TIFF, with the same pixels."""

import json
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import tifffile

from samzoo.runtime.images.label_tags import label_colours, tags_of_labels
from samzoo.runtime.images.origin import is_ours
from samzoo.runtime.images.reading import read_image, write_labels
from samzoo.runtime.labels.files import read_labels
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.pixel_size import PixelSize, pixel_sizes

SIZES = {
    "x": PixelSize(250.0, "nanometer"), "y": PixelSize(0.5, "micrometer"),
    "z": PixelSize(2.0, "micrometer"), "t": PixelSize(3.0, "minute"),
}  # fmt: skip
FACTS = {"used_diameter": None, "used_scale": 1.5, "diameter_from": "given"}


def metadata_of(file) -> Any:
    return file.imagej_metadata


@pytest.mark.parametrize("largest", [1, 300, 65534, 70000])
@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.OME.TIFF"])
def test_pixels_are_the_labels_and_the_file_is_known_as_ours(tmp_path, name, largest):
    labels = np.array([[0, 1, largest], [largest, 0, 1]], np.int32)
    write_labels(tmp_path / name, labels, facts=FACTS, sizes=SIZES)
    found = tifffile.imread(tmp_path / name)
    assert found.dtype == (np.uint16 if largest < 2**16 else np.int32)
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(read_labels(tmp_path / name), labels)
    np.testing.assert_array_equal(read_image(tmp_path / name), labels)
    assert is_ours(tmp_path / name)


def test_imagej_finds_colours_range_size_and_record(tmp_path):
    labels = np.array([[0, 1, 300]], np.int32)
    write_labels(tmp_path / "a.tif", labels, facts=FACTS, sizes=SIZES)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        found, page = metadata_of(file), file.pages.first
        assert file.is_imagej
        assert (found["min"], found["max"], found["unit"]) == (0.0, 300.0, "micron")
        assert json.loads(found["samzoo"]) == FACTS
        # ImageJ takes a table of 3 x 256 entries for 16 bits, too, and no unit from the tag.
        assert page.tags["ColorMap"].count == 768
        assert (page.photometric, page.tags["ResolutionUnit"].value) == (1, 1)
        np.testing.assert_array_equal(page.colormap, label_colours())
    sizes = pixel_sizes(SourceSpec(str(tmp_path / "a.tif")))
    assert (sizes["x"].unit, sizes["y"].unit) == ("micrometer", "micrometer")
    assert (sizes["x"].size, sizes["y"].size) == pytest.approx((0.25, 0.5))


def test_up_to_255_labels_have_each_a_colour_of_its_own_number(tmp_path):
    write_labels(tmp_path / "a.tif", np.array([[0, 3]], np.int32))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert metadata_of(file)["max"] == 255.0
        assert "unit" not in metadata_of(file)
    colours = label_colours().T
    assert colours[0].tolist() == [0, 0, 0]
    assert len(np.unique(colours, axis=0)) == 256
    step = np.abs(np.diff(colours[1:].astype(int), axis=0)).max(axis=1)
    assert step.min() > 65535 / 4  # of numbers that follow each other
    assert colours[1:].max(axis=1).min() > 65535 / 2  # visible on black


def test_ome_tiff_says_physical_sizes(tmp_path):
    write_labels(tmp_path / "a.ome.tif", np.array([[0, 3]], np.int32), facts=FACTS, sizes=SIZES)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert (file.is_ome, file.is_imagej) == (True, False)
        root: Any = ET.fromstring(file.ome_metadata or "")
    pixels = root.find("{*}Image/{*}Pixels").attrib
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeXUnit"]) == ("0.25", "µm")
    assert (pixels["PhysicalSizeY"], pixels["SizeC"]) == ("0.5", "1")
    record = json.loads(root.find("{*}Image/{*}Description").text)
    assert record == {"samzoo": FACTS}


@pytest.mark.parametrize(
    ("axes", "lengths", "expected"),
    [
        ("z", (4,), {"images": 4, "slices": 4, "spacing": 2.0}),
        ("t", (4,), {"images": 4, "frames": 4, "finterval": 180.0, "hyperstack": True}),
        ("tz", (2, 3), {"images": 6, "slices": 3, "frames": 2, "spacing": 2.0}),
    ],
)
def test_stacks_name_their_axes(tmp_path, axes, lengths, expected):
    labels = np.arange(np.prod(lengths) * 6, dtype=np.uint16).reshape(*lengths, 2, 3)
    for name in ("a.tif", "a.ome.tif"):
        path = tmp_path / name
        tags = tags_of_labels(path, largest=9, axes=axes, lengths=lengths, sizes=SIZES)
        tifffile.imwrite(path, labels, **tags)
        with tifffile.TiffFile(path) as file:
            assert file.series[0].axes == f"{axes.upper()}YX"
            np.testing.assert_array_equal(file.asarray(), labels)
            if name == "a.tif":
                assert expected.items() <= metadata_of(file).items()
        sizes = pixel_sizes(SourceSpec(str(path), plane=0))
        assert [axis for axis in ("t", "z") if axis in sizes] == list(axes)
