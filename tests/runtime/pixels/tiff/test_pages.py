"""Planes decoded from the pages that hold them, with and without imagecodecs."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import read_image
from samzoo.runtime.errors import ImageError

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
