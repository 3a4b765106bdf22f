"""From paths and arrays of users to checked images and labels, and back."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import ImageError, NotFoundError, StorageError
from samzoo.runtime.images.reading import check_image, list_images, read_image, write_labels
from samzoo.runtime.labels.files import read_labels


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "i2", "i4", "f4", "f8"])
def test_read_image_keeps_the_dtype(tmp_path, rng, dtype):
    image = (rng.random((5, 8)) * 100).astype(dtype)
    tifffile.imwrite(tmp_path / "image.tif", image)
    found = read_image(tmp_path / "image.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)


def test_boolean_images_become_0_and_255(tmp_path, rng):
    mask = rng.random((5, 8)) > 0.5
    tifffile.imwrite(tmp_path / "mask.tif", mask, photometric="minisblack")
    Image.fromarray(mask).save(tmp_path / "mask.png")
    for name in ("mask.tif", "mask.png"):
        found = read_image(tmp_path / name)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, mask * 255)


def test_nan_and_infinite_values_are_counted_in_the_message(tmp_path):
    image = np.zeros((4, 5), np.float32)
    image[0, 0], image[1, 1], image[2, 2] = np.nan, np.inf, -np.inf
    tifffile.imwrite(tmp_path / "image.tif", image)
    with pytest.raises(ImageError, match=r"image\.tif: 3 of 20 values are NaN or infinite"):
        read_image(tmp_path / "image.tif")


def test_complex_images_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", np.zeros((4, 5), np.complex64))
    with pytest.raises(ImageError, match=r"image\.tif: found values of dtype complex64"):
        read_image(tmp_path / "image.tif")


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((4, 5), (4, 5)), ((4, 5, 1), (4, 5)), ((4, 5, 3), (4, 5, 3)), ((4, 5, 4), (4, 5, 3)),
     ((1, 1), (1, 1))],
)  # fmt: skip
def test_arrays_in_memory_come_out_grey_or_rgb(shape, expected):
    assert check_image(np.zeros(shape, np.uint8)).shape == expected


@pytest.mark.parametrize(
    ("shape", "hint"),
    [((3, 40, 50), "moveaxis"), ((40, 50, 2), "one plane"), ((5,), "one plane"),
     ((2, 3, 40, 50), "one plane"), ((7, 40, 50), "one plane"), ((0, 5), "no pixels"),
     ((5, 0, 3), "no pixels")],
)  # fmt: skip
def test_other_shapes_are_refused_with_a_hint(shape, hint):
    with pytest.raises(ImageError, match=f"mine: .*{hint}"):
        check_image(np.zeros(shape, np.uint8), where="mine")


@pytest.mark.parametrize("dtype", [object, "U3", "M8[s]"])
def test_values_that_are_no_numbers_are_refused(dtype):
    with pytest.raises(ImageError, match="found values of dtype"):
        check_image(np.zeros((2, 2)).astype(dtype))


def test_rare_float_widths_and_byte_orders_become_common_ones():
    assert check_image(np.ones((2, 2), np.float16)).dtype == np.float32
    assert check_image(np.ones((2, 2), np.longdouble)).dtype == np.float64
    assert check_image(np.ones((2, 2), ">f4")).dtype.isnative
    assert check_image(np.ones((2, 2), ">u2")).dtype.isnative


@pytest.mark.parametrize("suffix", [".tif", ".tiff", ".TIF", ".png"])
@pytest.mark.parametrize("largest", [0, 1, 255, 65535])
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (9, 3), (20, 30)])
def test_labels_survive_writing_and_reading(tmp_path, rng, suffix, largest, shape):
    labels = rng.integers(0, largest + 1, shape).astype(np.int32)
    labels.flat[0] = largest
    write_labels(tmp_path / f"labels{suffix}", labels)
    found = read_labels(tmp_path / f"labels{suffix}")
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found, labels)


def test_tiff_labels_are_uint16_up_to_65535_and_int32_above(tmp_path):
    labels = np.array([[0, 65535]], np.int32)
    write_labels(tmp_path / "small.tif", labels)
    write_labels(tmp_path / "large.tif", labels + 1)
    assert tifffile.imread(tmp_path / "small.tif").dtype == np.uint16
    assert tifffile.imread(tmp_path / "large.tif").dtype == np.int32
    np.testing.assert_array_equal(read_labels(tmp_path / "large.tif"), labels + 1)


def test_labels_are_not_written_where_they_would_be_damaged(tmp_path):
    labels = np.array([[0, 65536]], np.int32)
    with pytest.raises(ImageError, match=r"a\.jpg: found suffix .*\.tif, \.tiff, \.png"):
        write_labels(tmp_path / "a.jpg", labels)
    with pytest.raises(ImageError, match=r"label 65536 is too large for a PNG; write a \.tif"):
        write_labels(tmp_path / "a.png", labels)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "labels.tif"
    write_labels(path, np.ones((2, 2), np.int32))

    def full(target, *_arguments, **_options):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full)
    with pytest.raises(StorageError, match=r"labels\.tif: cannot be written \(No space left"):
        write_labels(path, np.zeros((2, 2), np.int32))
    np.testing.assert_array_equal(read_labels(path), np.ones((2, 2)))
    assert list(tmp_path.iterdir()) == [path]


def test_palette_png_labels_give_their_indices(tmp_path):
    image = Image.fromarray(np.array([[0, 1], [2, 1]], np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    image.save(tmp_path / "labels.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.png"), [[0, 1], [2, 1]])


def test_whole_numbers_in_a_float_file_are_labels(tmp_path):
    tifffile.imwrite(tmp_path / "labels.tif", np.array([[0.0, 3.0]]))
    np.testing.assert_array_equal(read_labels(tmp_path / "labels.tif"), [[0, 3]])


def test_an_rgb_picture_of_labels_is_refused_with_a_hint(tmp_path):
    Image.new("RGB", (5, 4)).save(tmp_path / "labels.png")
    with pytest.raises(ImageError, match=r"labels\.png: found a colour image"):
        read_labels(tmp_path / "labels.png")


def test_list_images_is_sorted_and_takes_suffixes_in_any_case(tmp_path):
    for name in ("b.TIF", "a.png", "c.Jpeg", "notes.txt", "._a.png", "d.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "folder.tif").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.TIF", "c.Jpeg", "d.tiff"]
    assert list_images(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_list_images_says_what_is_missing(tmp_path):
    with pytest.raises(NotFoundError, match="no such file or folder"):
        list_images(tmp_path / "none")
    with pytest.raises(ImageError, match=r"holds no image; looked for \.tif"):
        list_images(tmp_path)
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ImageError, match=r"notes\.txt: not an image file"):
        list_images(tmp_path / "notes.txt")


def test_paths_may_be_text(tmp_path):
    labels = np.array([[0, 1], [2, 2]], np.int32)
    path = str(tmp_path / "labels.tif")
    write_labels(path, labels)
    np.testing.assert_array_equal(read_labels(path), labels)
    np.testing.assert_array_equal(read_image(path), labels)
