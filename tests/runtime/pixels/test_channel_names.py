"""Names of channels as other programs write them."""

import numpy as np
import pytest
import tifffile

from samzoo.runtime.pixels.channel_names import names_in_tiff, names_in_zarr

IMAGE = np.zeros((3, 20, 30), np.uint16)
NAMES = ("DAPI", "GFP", "Cy5")


def test_ome_names_every_series_apart(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as file:
        file.write(IMAGE, metadata={"axes": "CYX", "Channel": {"Name": list(NAMES)}})
        file.write(IMAGE[:2], metadata={"axes": "CYX"})
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as file:
        assert names_in_tiff(file, 0, 3) == NAMES
        assert names_in_tiff(file, 0, 2) == ()
        assert not any(names_in_tiff(file, 1, 2))


def test_imagej_names_channels_in_its_labels(tmp_path):
    metadata = {"axes": "CYX", "Labels": list(NAMES)}
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, imagej=True, metadata=metadata)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert names_in_tiff(file, 0, 3) == NAMES


def test_a_qptiff_names_the_stain_of_each_page(tmp_path):
    text = (
        '<?xml version="1.0"?><PerkinElmer-QPI-ImageDescription><Name>filter {}</Name>'
        "{}</PerkinElmer-QPI-ImageDescription>"
    )
    with tifffile.TiffWriter(tmp_path / "a.qptiff") as file:
        for number, name in enumerate(NAMES):
            stain = f"<Biomarker>{name}</Biomarker>" if number else ""
            file.write(IMAGE[0], description=text.format(number, stain), metadata=None,
                       software="PerkinElmer-QPI", photometric="minisblack")  # fmt: skip
    with tifffile.TiffFile(tmp_path / "a.qptiff") as file:
        assert names_in_tiff(file, 0, 3) == ("filter 0", "GFP", "Cy5")


def test_a_plain_tiff_has_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="minisblack")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert names_in_tiff(file, 0, 3) == ()


def omero(*channels):
    return {"omero": {"channels": [{"label": name, "color": colour} for name, colour in channels]}}


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [({}, ((), True)), ({"omero": {"channels": 3}}, ((), True)),
     (omero(("DAPI", "0000FF"), ("GFP", "00FF00"), ("Cy5", "FF0000")), (NAMES, False)),
     (omero(("DAPI", "FF0000"), ("GFP", "00FF00"), ("Cy5", "0000FF")), (NAMES, False)),
     (omero(("Red", "FF0000"), ("green", "00FF00"), ("Blue", "0000FF")),
      (("Red", "green", "Blue"), True)),
     ({"ome": omero(("", "ff0000"), ("", "00ff00"), ("", "0000ff"))}, (("", "", ""), True))],
)  # fmt: skip
def test_ome_zarr_says_which_channels_are_colours(attributes, expected):
    assert names_in_zarr(attributes, 3) == expected
