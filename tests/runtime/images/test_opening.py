"""Decoding of files as they come from microscopes, cameras and Python scripts."""

import logging
import re
from contextlib import closing
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime.errors import ImageError, NotFoundError, SamzooError
from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.pixels import decoders
from samzoo.runtime.pixels.source_spec import SourceSpec


def decode(path, *, keep_indices=False, **choice):
    """Read a whole plane, as stored or as seen."""
    with closing(open_reader(SourceSpec(str(path), **choice), as_labels=keep_indices)) as reader:
        return reader((0, 0, reader.shape[0], reader.shape[1]))


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def grey16(rng, shape=(20, 30)):
    return rng.integers(0, 60000, shape).astype(np.uint16)


@pytest.mark.parametrize(
    "dtype", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", ">u2", "?", "c8"]
)
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (20, 30), (9, 3), (3, 9)])
def test_grey_tiff_keeps_values_dtype_and_shape(tmp_path, rng, dtype, shape):
    image = (rng.random(shape) * 100).astype(dtype)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, image, photometric="minisblack")
    found = decode(path)
    assert found.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(found, image)


@pytest.mark.parametrize("compression", ["tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiff_with_a_codec_that_tifffile_lacks_is_read_by_pillow(tmp_path, rng, compression, dtype):
    image = (grey16(rng) // 256).astype(dtype)
    Image.fromarray(image).save(tmp_path / "image.tif", compression=compression)
    found = decode(tmp_path / "image.tif")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, image)


def test_lzw_rgb_tiff_is_read_by_pillow(tmp_path, rng):
    image = rng.integers(0, 255, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "image.tif", compression="tiff_lzw")
    np.testing.assert_array_equal(decode(tmp_path / "image.tif"), image)


def test_a_tiff_nobody_here_can_decode_names_imagecodecs(tmp_path, rng, monkeypatch):
    Image.fromarray(grey16(rng)).save(tmp_path / "image.tif", compression="tiff_lzw")

    def refuse(*_arguments):
        raise OSError("decoder not available")

    def need_imagecodecs(*_arguments, **_options):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(Image, "open", refuse)
    # Other packages may have brought it.
    monkeypatch.setattr(tifffile.TiffPage, "asarray", need_imagecodecs)
    with pytest.raises(ImageError, match=r"image\.tif: TIFF compression .*pip install imagecodecs"):
        decode(tmp_path / "image.tif")


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("planar", [True, False])
def test_rgb_and_rgba_tiff_put_colours_last_and_drop_alpha(tmp_path, rng, channels, planar):
    image = rng.integers(0, 255, (20, 30, channels)).astype(np.uint16)
    image[..., 3:] = 65535
    stored = np.moveaxis(image, -1, 0) if planar else image
    tifffile.imwrite(
        tmp_path / "image.tif", stored, photometric="rgb",
        planarconfig="separate" if planar else "contig",
    )  # fmt: skip
    np.testing.assert_array_equal(decode(tmp_path / "image.tif"), image[..., :3])


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("writer", ["tifffile", "Pillow"])
def test_three_or_four_grey_pages_are_planes_and_not_colours(tmp_path, rng, count, writer):
    image = grey16(rng, (count, 20, 30))
    path = tmp_path / "pages.tif"
    if writer == "tifffile":
        tifffile.imwrite(path, image, photometric="minisblack")
    else:
        first, *others = [Image.fromarray(page) for page in image]
        first.save(path, save_all=True, append_images=others)
    with pytest.raises(ImageError, match=rf"one of {count} planes with --plane, from 0 to"):
        decode(path)
    for plane, page in enumerate(image):
        np.testing.assert_array_equal(decode(path, plane=plane), page)


def test_a_single_plane_with_extra_axes_is_grey(tmp_path, rng):
    image = grey16(rng, (1, 1, 20, 30))
    tifffile.imwrite(tmp_path / "image.tif", image, photometric="minisblack")
    np.testing.assert_array_equal(decode(tmp_path / "image.tif"), image[0, 0])


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((5, 20, 30), "ZYX"), ((3, 20, 30), "ZYX"), ((4, 20, 30), "TYX"), ((2, 20, 30), "CYX"),
     ((4, 20, 30), "CYX"), ((2, 3, 20, 30), "ZCYX")],
)  # fmt: skip
def test_stacks_and_many_channels_are_refused_with_the_shape_found(tmp_path, rng, shape, axes):
    tifffile.imwrite(
        tmp_path / "stack.tif", grey16(rng, shape), imagej=True, metadata={"axes": axes}
    )
    message = rf"stack\.tif: found a stack.*{re.escape(str(shape))}.*choose one of"
    with pytest.raises(ImageError, match=message):
        decode(tmp_path / "stack.tif")


def test_two_pages_of_different_size_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as writer:
        writer.write(np.ones((20, 30), np.uint8))
        writer.write(np.ones((10, 15), np.uint8))
    with pytest.raises(ImageError, match=r"holds 2 images; choose one with --series: 0 "):
        decode(tmp_path / "two.tif")


def test_a_thumbnail_page_does_not_matter(tmp_path, rng):
    image = grey16(rng)
    with tifffile.TiffWriter(tmp_path / "pyramid.tif") as writer:
        writer.write(image)
        writer.write(image[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(decode(tmp_path / "pyramid.tif"), image)


def test_palette_tiff_gives_colours_or_indices(tmp_path, rng):
    indices = rng.integers(0, 256, (20, 30)).astype(np.uint8)
    colours = rng.integers(0, 256, (3, 256)).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "p.tif", indices, photometric="palette", colormap=colours)
    np.testing.assert_array_equal(decode(tmp_path / "p.tif", keep_indices=True), indices)
    expected = np.moveaxis(colours[:, indices] >> 8, 0, -1)
    np.testing.assert_array_equal(decode(tmp_path / "p.tif"), expected)


@pytest.mark.parametrize("mode", ["1", "L", "I;16", "RGB", "RGBA", "LA", "P"])
def test_png_modes_become_grey_or_rgb(tmp_path, rng, mode):
    path = tmp_path / "image.png"
    grey = rng.integers(0, 256, (20, 30)).astype(np.uint8)
    rgb = rng.integers(0, 256, (20, 30, 3)).astype(np.uint8)
    alpha = Image.fromarray(np.full((20, 30), 200, np.uint8))
    image = Image.fromarray(grey)
    expected: np.ndarray = grey
    if mode == "1":
        image, expected = Image.fromarray(grey > 128), grey > 128
    elif mode == "I;16":
        expected = grey16(rng)
        image = Image.fromarray(expected)
    elif mode in ("RGB", "RGBA"):
        image, expected = Image.fromarray(rgb), rgb
    elif mode == "P":
        image = Image.fromarray(rgb).quantize(16)
        expected = np.array(image.convert("RGB"))
    if mode.endswith("A"):
        image.putalpha(alpha)
    assert image.mode == mode
    image.save(path)
    found = decode(path)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("mode", "shape"), [("L", (20, 30)), ("RGB", (20, 30, 3)),
                                             ("CMYK", (20, 30, 3))])  # fmt: skip
def test_jpeg_is_read_as_grey_or_rgb(tmp_path, mode, shape):
    Image.new(mode, (30, 20)).save(tmp_path / "image.JPG", "JPEG")
    found = decode(tmp_path / "image.JPG")
    assert found.shape == shape
    assert found.dtype == np.uint8


def test_the_first_bytes_decide_and_not_the_suffix(tmp_path, rng):
    image = grey16(rng)
    Image.fromarray(image).save(tmp_path / "image.tif", "PNG")
    np.testing.assert_array_equal(decode(tmp_path / "image.tif"), image)


def test_missing_file_folder_empty_file_and_text_are_told_apart(tmp_path):
    with pytest.raises(NotFoundError, match=r"none\.tif: no such file"):
        decode(tmp_path / "none.tif")
    with pytest.raises(ImageError, match="is a folder"):
        decode(tmp_path)
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"empty\.png: the file is empty"):
        decode(tmp_path / "empty.png")
    (tmp_path / "text.tif").write_text("no image\n")
    with pytest.raises(ImageError, match=r"text\.tif: not a TIFF, PNG, JPEG, BMP"):
        decode(tmp_path / "text.tif")


def save_as(path, image, kind):
    if kind == "pillow tiff":
        Image.fromarray(image).save(path, "TIFF", compression="tiff_lzw")
    elif kind in ("PNG", "JPEG"):
        Image.fromarray(image).save(path, kind)
    else:
        options: dict[str, dict[str, Any]] = {"raw tiff": {}, "zlib": {"compression": "zlib"},
                   "tiles": {"compression": "zlib", "tile": (32, 32)}}  # fmt: skip
        tifffile.imwrite(path, image, **options[kind])


KINDS = ["raw tiff", "zlib", "tiles", "pillow tiff", "PNG", "JPEG"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
def test_a_truncated_file_is_one_image_error_and_nothing_on_stderr(
    tmp_path, rng, kind, share, capfd
):
    image = rng.integers(0, 255, (100, 90)).astype(np.uint8)
    whole, path = tmp_path / "whole", tmp_path / "truncated"
    save_as(whole, image, kind)
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match="truncated: "):
        decode(path)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_bytes_give_an_image_or_one_of_our_errors(tmp_path, rng, kind):
    image = rng.integers(0, 255, (40, 50)).astype(np.uint8)
    path = tmp_path / "damaged"
    save_as(path, image, kind)
    data = np.frombuffer(path.read_bytes(), np.uint8)
    refused = 0
    for _ in range(60):
        damaged = data.copy()
        where = rng.integers(4, min(data.size, 400), 4)
        damaged[where] = rng.integers(0, 256, 4)
        path.write_bytes(damaged.tobytes())
        try:
            decode(path)
        except SamzooError:
            refused += 1
    assert refused > 0


def test_the_pixel_budget_is_checked_before_decoding(tmp_path, rng, monkeypatch):
    tifffile.imwrite(tmp_path / "large.tif", grey16(rng))
    Image.fromarray(grey16(rng)).save(tmp_path / "large.png")
    monkeypatch.setattr(decoders, "MAX_PIXELS", 599)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", None)
    monkeypatch.setattr(Image.Image, "load", None)
    for name in ("large.tif", "large.png"):
        with pytest.raises(ImageError, match=r"20 x 30 is 600 pixels, allowed are 599; cut"):
            decode(tmp_path / name)


def test_a_decompression_bomb_is_an_image_error_without_warning(tmp_path, monkeypatch):
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 400)
    assert decode(tmp_path / "bomb.png").shape == (20, 30)  # Pillow would warn here
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(ImageError, match=r"bomb\.png: .*cannot be decoded"):
        decode(tmp_path / "bomb.png")


def test_reading_leaves_the_tifffile_logger_as_it_was(tmp_path, rng):
    before = list(logging.getLogger("tifffile").handlers)
    tifffile.imwrite(tmp_path / "image.tif", grey16(rng))
    decode(tmp_path / "image.tif")
    assert logging.getLogger("tifffile").handlers == before
