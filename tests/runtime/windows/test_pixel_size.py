"""Sizes of pixels as tifffile writes them for OME and ImageJ, and as ome-zarr-py does."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.pixel_size import PixelSize, pixel_sizes

PLANES = np.zeros((3, 64, 80), np.uint8)


def sizes(path, **options):
    return pixel_sizes(SourceSpec(str(path), **options))


def test_ome_tiff_states_sizes_at_each_level(tmp_path):
    path = tmp_path / "a.ome.tif"
    told = {
        "axes": "ZYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 500,
        "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 2,
    }  # fmt: skip
    with tifffile.TiffWriter(path, ome=True) as file:
        file.write(PLANES, subifds=1, metadata=told)
        file.write(PLANES[:, ::2, ::2], subfiletype=1)
    found = {
        "z": PixelSize(2, "micrometer"),
        "y": PixelSize(500, "nanometer"),
        "x": PixelSize(0.25, "micrometer"),
    }
    assert sizes(path) == found
    halved = {
        "y": PixelSize(1000, "nanometer"),
        "x": PixelSize(0.5, "micrometer"),
    }
    assert sizes(path, level=1) == {**found, **halved}


def test_every_series_has_its_own(tmp_path):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as file:
        for size in (1.0, 3.0):
            file.write(PLANES, metadata={"axes": "TYX", "PhysicalSizeX": size, "TimeIncrement": 5})
    assert sizes(path, series=1) == {
        "x": PixelSize(3.0, "micrometer"), "t": PixelSize(5.0, "second")
    }  # fmt: skip


def test_imagej_states_resolution_and_spacing(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", PLANES, imagej=True, resolution=(4.0, 2.0),
        metadata={"axes": "ZYX", "spacing": 1.5, "unit": "um", "finterval": 0.5},
    )  # fmt: skip
    assert sizes(tmp_path / "a.tif") == {
        "t": PixelSize(0.5, "second"),
        "z": PixelSize(1.5, "micrometer"),
        "y": PixelSize(0.5, "micrometer"),
        "x": PixelSize(0.25, "micrometer"),
    }


@pytest.mark.parametrize("value", ["-1", "0", "nan", "inf", "wide"])
def test_what_is_no_size_is_left_out(tmp_path, value):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path, PLANES, metadata={"axes": "ZYX", "PhysicalSizeX": 7777, "PhysicalSizeY": 2}
    )
    path.write_bytes(path.read_bytes().replace(b'"7777"', f'"{value:>4}"'.encode()))
    assert sizes(path) == {"y": PixelSize(2, "micrometer")}


def test_a_printer_s_resolution_is_no_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANES[0], resolution=(72, 72), resolutionunit="INCH")
    assert sizes(tmp_path / "a.tif") == {}


def test_sizes_go_into_a_new_store_and_are_read_from_it(tmp_path, discs, toy_package):
    zarr = pytest.importorskip("zarr")
    from samzoo.zoo.cli import main

    image = discs((100, 150), [(20, 20), (64, 96)], high=200)
    told = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", image, metadata=told)
    out = tmp_path / "out.zarr"
    model = ["--model", str(toy_package)]
    assert main(["segment", str(tmp_path / "a.ome.tif"), "-o", str(out), *model]) == 0
    expected = {"y": PixelSize(0.5, "micrometer"), "x": PixelSize(0.25, "micrometer")}
    assert sizes(out) == expected
    labels = zarr.open(str(out / "labels" / "objects"), mode="r").attrs["ome"]["multiscales"][0]
    assert [axis["unit"] for axis in labels["axes"]] == ["micrometer"] * 2
    assert labels["datasets"][0]["coordinateTransformations"][0]["scale"] == [0.5, 0.25]
    again = tmp_path / "again.zarr"
    assert main(["segment", str(out), "-o", str(again), *model]) == 0
    assert sizes(again) == expected
