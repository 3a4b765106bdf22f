"""Planes decoded from the pages that hold them, with and without imagecodecs."""

from contextlib import closing

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_image
from samzoo.runtime.errors import ImageError
from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.pixels.source_spec import SourceSpec

STACK = np.random.default_rng(7).integers(0, 60000, (2, 3, 20, 30)).astype(np.uint16)


def test_only_the_pages_of_a_plane_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, compression="zlib", metadata={"axes": "TCYX"}, ome=True)
    decoded: list[object] = []
    whole = tifffile.TiffFrame.asarray

    def counted(page, *arguments, **options):
        decoded.append(page)
        return whole(page, *arguments, **options)

    monkeypatch.setattr(tifffile.TiffFrame, "asarray", counted)
    np.testing.assert_array_equal(read_image(path, plane=1, channel=2), STACK[1, 2])
    assert len(decoded) == 1


def test_a_page_of_a_stack_in_lzw_is_read_by_pillow(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    first, *others = [Image.fromarray(page) for page in STACK[0]]
    first.save(path, save_all=True, append_images=others, compression="tiff_lzw")

    def need_imagecodecs(*_arguments, **_options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", need_imagecodecs)
    monkeypatch.setattr(tifffile.TiffFrame, "asarray", need_imagecodecs)
    for plane in range(3):
        np.testing.assert_array_equal(read_image(path, plane=plane), STACK[0, plane])


@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_pillow_gives_the_samples_that_tifffile_would(tmp_path, monkeypatch, mode):
    path = tmp_path / "a.tif"
    image = Image.fromarray((STACK[0, 0] >> 8).astype(np.uint8)).convert(mode)
    image.save(path, compression="tiff_lzw")
    expected = np.array(image) * np.uint8(255) if mode == "1" else np.array(image)

    def need_imagecodecs(*_arguments, **_options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffPage, "asarray", need_imagecodecs)
    np.testing.assert_array_equal(read_image(path), expected)


def test_a_plane_in_a_file_that_is_missing_is_an_error(tmp_path):
    from xml.etree import ElementTree as ET

    paths = [tmp_path / "one.ome.tif", tmp_path / "two.ome.tif"]
    for number, path in enumerate(paths):
        tifffile.imwrite(path, STACK[0, number], photometric="minisblack", metadata=None)
    root = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
    places = "".join(
        f'<TiffData IFD="0" FirstZ="{z}" PlaneCount="1">'
        f'<UUID FileName="{path.name}">urn:uuid:0000000{z}-0000-0000-0000-000000000000</UUID>'
        "</TiffData>"
        for z, path in enumerate(paths)
    )
    text = (
        f'<OME xmlns="{root}" UUID="urn:uuid:00000000-0000-0000-0000-000000000000">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="30" '
        f'SizeY="20" SizeZ="2" SizeC="1" SizeT="1">{places}</Pixels></Image></OME>'
    )
    ET.fromstring(text)
    tifffile.imwrite(
        paths[0], STACK[0, 0], photometric="minisblack", metadata=None, description=text
    )
    np.testing.assert_array_equal(read_image(paths[0], plane=0), STACK[0, 0])
    np.testing.assert_array_equal(read_image(paths[0], plane=1), STACK[0, 1])
    paths[1].unlink()
    np.testing.assert_array_equal(read_image(paths[0], plane=0), STACK[0, 0])
    with pytest.raises(ImageError, match=r"the plane lies in another file .* missing; copy all"):
        read_image(paths[0], plane=1)


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
    'UUID="urn:uuid:{own}">{images}</OME>'
)
PIXELS = (
    '<Image ID="Image:{i}" Name="Pos{i}"><Pixels ID="Pixels:{i}" DimensionOrder="XYZCT" '
    'Type="uint8" SizeX="30" SizeY="20" SizeZ="{z}" SizeC="1" SizeT="1">'
    '<Channel ID="Channel:{i}:0" SamplesPerPixel="1"/>{data}</Pixels></Image>'
)
DATA = (
    '<TiffData FirstZ="{z}" FirstC="0" FirstT="0" IFD="0" PlaneCount="1">'
    '<UUID FileName="{name}">urn:uuid:{uuid}</UUID></TiffData>'
)


def write_data_set(folder, groups):
    """OME-TIFFs that describe each other; each group is an image, and each name in it a slice."""
    names = [name for group in groups for name in group]
    uuids = {name: f"00000000-0000-0000-0000-{i:012}" for i, name in enumerate(names)}
    images = "".join(
        PIXELS.format(i=i, z=len(group), data="".join(
            DATA.format(z=z, name=name, uuid=uuids[name]) for z, name in enumerate(group)
        ))
        for i, group in enumerate(groups)
    )  # fmt: skip
    for number, name in enumerate(names):
        text = OME.format(own=uuids[name], images=images)
        pixels = np.full((20, 30), number + 1, np.uint8)
        tifffile.imwrite(folder / name, pixels, description=text.encode(), metadata=None)


def opened(path, **choice):
    with closing(open_reader(SourceSpec(str(path), **choice))) as reader:
        return int(reader((0, 0, 20, 30)).max()), list(reader.notes)


def test_each_file_of_positions_gives_its_own_position(tmp_path):
    write_data_set(tmp_path, [["p0.ome.tif"], ["p1.ome.tif"], ["p2.ome.tif"]])
    for number in range(3):
        value, notes = opened(tmp_path / f"p{number}.ome.tif")
        assert value == number + 1
        assert "the one that lies in this file was read" in notes[0]


def test_a_chosen_position_in_another_file_is_told(tmp_path):
    write_data_set(tmp_path, [["p0.ome.tif"], ["p1.ome.tif"]])
    assert opened(tmp_path / "p0.ome.tif", series=0) == (1, [])
    value, notes = opened(tmp_path / "p1.ome.tif", series=0)
    assert value == 1
    assert "the pixels that were read lie in p0.ome.tif" in notes[0]


def test_a_slice_in_another_file_is_told(tmp_path):
    write_data_set(tmp_path, [["z0.ome.tif", "z1.ome.tif"]])
    assert opened(tmp_path / "z1.ome.tif", plane=1) == (2, [])
    value, notes = opened(tmp_path / "z1.ome.tif", plane=0)
    assert value == 1
    assert "the pixels that were read lie in z0.ome.tif" in notes[0]
