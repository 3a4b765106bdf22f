"""Label files in every format that people have: read exactly, or refused with the way out."""

import io
import zipfile

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import ImageError, NotFoundError
from samzoo.runtime.labels.files import read_annotation, read_labels

LABELS = np.array([[0, 1, 1], [2, 2, 0]], np.int32)


def saved(tmp_path, name, labels):
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, labels)
    elif name.endswith(".png"):
        Image.fromarray(labels).save(path)
    else:
        tifffile.imwrite(path, labels)
    return path


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("a.png", "u1"), ("a.png", "u2"), ("a.tif", "u1"), ("a.tif", "i2"), ("a.tif", "u4"),
     ("a.tif", "i8"), ("a.tif", "u8"), ("a.tif", "f4"), ("a.npy", "i4"), ("a.npy", ">u2"),
     ("a.npy", "f8")],
)  # fmt: skip
def test_labels_come_out_as_they_are_stored(tmp_path, name, dtype):
    path = saved(tmp_path, name, LABELS.astype(dtype))
    np.testing.assert_array_equal(read_labels(path), LABELS)


def test_one_bit_images_and_booleans_are_one_object(tmp_path):
    Image.fromarray(LABELS > 0).save(tmp_path / "a.png")
    np.save(tmp_path / "a.npy", LABELS > 0)
    for name in ("a.png", "a.npy"):
        np.testing.assert_array_equal(read_labels(tmp_path / name), LABELS > 0)


def test_single_axes_of_a_numpy_file_go(tmp_path):
    path = saved(tmp_path, "a.npy", LABELS[None, :, :, None])
    np.testing.assert_array_equal(read_labels(path), LABELS)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_jpeg_is_refused_by_its_content_not_its_name(tmp_path, name):
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / name, "JPEG")
    with pytest.raises(ImageError, match=r"a JPEG file, which changes label .* cannot be repaired"):
        read_labels(tmp_path / name)


def test_png_content_under_a_jpeg_name_is_read(tmp_path):
    Image.fromarray(LABELS.astype(np.uint8)).save(tmp_path / "a.jpg", "PNG")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.jpg"), LABELS)


def test_jpeg_inside_of_a_tiff_is_refused(tmp_path):
    picture = Image.fromarray(np.tile(LABELS.astype(np.uint8), (16, 16)))
    picture.save(tmp_path / "a.tif", compression="jpeg")
    with pytest.raises(ImageError, match="TIFF with JPEG compression"):
        read_labels(tmp_path / "a.tif")
    picture.save(tmp_path / "b.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(read_labels(tmp_path / "b.tif"), np.asarray(picture))


def test_a_stack_of_labels_is_refused_without_advice_for_segment(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((5, 20, 30), np.uint16))
    with pytest.raises(ImageError, match=r"stack of labels .* mask of one object") as caught:
        read_labels(tmp_path / "a.tif")
    assert "--plane" not in str(caught.value)


def test_a_pickled_dict_of_cellpose_is_refused_unopened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "opened"), "w"))

    np.save(tmp_path / "a_seg.npy", np.array({"masks": LABELS, "trap": Trap()}, object))
    with pytest.raises(ImageError, match=r"Cellpose's _seg\.npy .* Export the masks"):
        read_labels(tmp_path / "a_seg.npy")
    assert not (tmp_path / "opened").exists()


def test_rois_of_imagej_are_refused_with_the_way_to_convert(tmp_path):
    with zipfile.ZipFile(tmp_path / "RoiSet.zip", "w") as archive:
        archive.writestr("1.roi", b"Iout")
    (tmp_path / "1.tif").write_bytes(b"Iout\0\0\0\0")
    with pytest.raises(ImageError, match="zip file, perhaps of ImageJ ROIs"):
        read_labels(tmp_path / "RoiSet.zip")
    with pytest.raises(ImageError, match="an ImageJ ROI"):
        read_labels(tmp_path / "1.tif")


def test_a_truncated_numpy_file_is_named(tmp_path):
    content = io.BytesIO()
    np.save(content, LABELS)
    (tmp_path / "a.npy").write_bytes(content.getvalue()[:-5])
    with pytest.raises(ImageError, match=r"a\.npy: the \.npy file is damaged"):
        read_labels(tmp_path / "a.npy")
    with pytest.raises(NotFoundError, match="no such file"):
        read_labels(tmp_path / "b.npy")


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_pictures_of_labels_are_refused(tmp_path, mode):
    Image.new(mode, (5, 4)).save(tmp_path / "a.png")
    with pytest.raises(ImageError, match=r"colour image .* save the labels themselves"):
        read_labels(tmp_path / "a.png")


def test_an_unsigned_file_can_say_what_nobody_annotated(tmp_path):
    path = saved(tmp_path, "a.png", np.array([[0, 4, 255]], np.uint8))
    assert read_annotation(path, ignore=[255]).tolist() == [[0, 4, -1]]
    assert read_labels(path).tolist() == [[0, 4, 255]]


@pytest.mark.parametrize("dtype", ["u2", "u4", "u8"])
def test_minus_one_that_lost_its_sign_is_refused_unless_it_is_said_what_it_means(tmp_path, dtype):
    wrapped = np.array([[-1, 0, 3], [-1, 1, 3]], "i8").astype(dtype)
    largest = int(np.iinfo(dtype).max)
    path = saved(tmp_path, "a.npy", wrapped)
    with pytest.raises(ImageError, match=rf"found the id {largest}, .* pass --ignore {largest}"):
        read_labels(path)
    assert read_annotation(path, ignore=[largest]).tolist() == [[-1, 0, 3], [-1, 1, 3]]
    mask = saved(tmp_path, "b.npy", np.array([[0, largest]], dtype))
    assert read_labels(mask).max() > 0
