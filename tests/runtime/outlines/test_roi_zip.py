"""ROIs of ImageJ, as roifile reads them."""

import numpy as np
import pytest

from samzoo.runtime.outlines.rings import Outline, trace
from samzoo.runtime.outlines.roi_zip import Position, Roi, roi_bytes, zipped_rois

roifile = pytest.importorskip("roifile")
draw = pytest.importorskip("skimage.draw")

RINGS = np.array([[1, 1, 1, 0, 0], [1, 0, 1, 0, 2], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0]], np.int32)


def roi(outline, name="0001", position=None):
    return Roi(name=name, outline=outline, colour=(230, 159, 0), position=position or Position())


def read(outline, **more):
    return roifile.ImagejRoi.frombytes(roi_bytes(roi(outline, **more)))


def filled(found, shape):
    """Fill a ROI at the pixels' centres by the even-odd rule, as ImageJ does."""
    paths = found.coordinates(multi=True)
    mask = np.zeros(shape, np.bool_)
    for path in paths if isinstance(paths, list) else [paths]:
        mask ^= draw.polygon2mask(shape, np.asarray(path)[:, ::-1] - 0.5)
    return mask


def test_parts_and_holes_are_read_back():
    for outline in trace(RINGS):
        found = read(outline)
        np.testing.assert_array_equal(filled(found, RINGS.shape), outline.label == RINGS)


def test_a_simple_object_is_a_traced_polygon_and_others_are_composites():
    composite, simple = (read(outline) for outline in trace(RINGS))
    assert simple.roitype == roifile.ROI_TYPE.TRACED
    assert (composite.roitype, composite.composite) == (roifile.ROI_TYPE.RECT, True)
    assert (composite.left, composite.top, composite.right, composite.bottom) == (0, 0, 4, 4)


def test_name_colour_and_place_are_read_back():
    [outline] = trace(np.ones((2, 2), np.int32))
    found = read(outline, name="0007-z3", position=Position(slice=3, frame=2))
    assert (found.name, found.stroke_color) == ("0007-z3", bytes((255, 230, 159, 0)))
    assert (found.position, found.c_position, found.z_position, found.t_position) == (0, 0, 3, 2)
    assert read(outline, position=Position(image=5)).position == 5


@pytest.mark.parametrize("place", [40000, 60000])
def test_places_beyond_15_bits_are_read_back(place):
    ring = np.array([[0, 0], [4, 0], [4, 2], [0, 2]]) + place
    found = read(Outline(1, ((ring,),)))
    assert found.coordinates().tolist() == ring.tolist()


def test_an_object_of_more_than_65535_corners_is_read_back():
    comb = np.zeros((3, 40000), np.int32)
    comb[1], comb[0, ::2] = 1, 1
    [outline] = trace(comb)
    assert len(outline.polygons[0][0]) > 65535
    np.testing.assert_array_equal(read(outline).coordinates(), outline.polygons[0][0])


def test_the_zip_holds_a_file_for_each_name_and_is_the_same_each_time(tmp_path):
    rois = [roi(outline, name=f"{outline.label:04d}") for outline in trace(RINGS)]
    data = zipped_rois(rois)
    assert data == zipped_rois(rois)
    (tmp_path / "rois.zip").write_bytes(data)
    assert [each.name for each in roifile.roiread(tmp_path / "rois.zip")] == ["0001", "0002"]


def test_no_objects_are_an_empty_zip(tmp_path):
    (tmp_path / "rois.zip").write_bytes(zipped_rois([]))
    import zipfile

    assert zipfile.ZipFile(tmp_path / "rois.zip").namelist() == []
