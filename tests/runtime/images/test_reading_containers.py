"""The same picture in every container gives the same labels.

The oracle is the picture that the test itself writes, in 8 bits. Containers of more bits hold it
spread over their range, those in colour hold it in all colours or in the one that is chosen.
"""

from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from samzoo.runtime import load, read_image, segment_file
from samzoo.runtime.images.opening import open_reader
from samzoo.runtime.pixels.orientation import TAG
from samzoo.runtime.pixels.source_spec import SourceSpec

PICTURE = np.clip(
    sum(
        np.hypot(np.mgrid[:70, :90][0] - y, np.mgrid[:70, :90][1] - x) < 9
        for y, x in ((14, 16), (20, 60), (52, 30), (50, 74))
    )
    * 180
    + np.random.default_rng(1).integers(0, 60, (70, 90)),
    0,
    255,
).astype(np.uint8)
DEEP = PICTURE.astype(np.uint16) * 257 - np.random.default_rng(2).integers(0, 100, (70, 90)) % 257
DEEP = np.where(PICTURE == 0, 0, DEEP).astype(np.uint16)
RAMP = np.repeat(np.arange(256, dtype=np.uint16) * 257, 3).reshape(256, 3).T.copy()


def rgb(grey):
    return np.repeat(grey[..., np.newaxis], 3, axis=2)


def only_blue(grey):
    return np.stack([np.zeros_like(grey), np.zeros_like(grey), grey], axis=-1)


def with_alpha(image, value):
    image = image[..., np.newaxis] if image.ndim == 2 else image
    return np.concatenate([image, np.full_like(image[..., :1], value)], axis=2)


def pillow(name, image, **options):
    return name, lambda path: Image.fromarray(image).save(path, **options)


def tiff(image, **options):
    return "a.tif", lambda path: tifffile.imwrite(path, image, **options)


def palette_png(path):
    image = Image.fromarray(PICTURE).convert("P")
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8), 3).tobytes())
    image.save(path)


def deep_png(image):
    def write(path):
        from deep_png_writer import write as encode

        path.write_bytes(encode(image if image.ndim == 3 else image[..., np.newaxis], (4, 2, 3, 1)))

    return "a.png", write


def other_pages(image):
    rng = np.random.default_rng(9)
    noise = rng.integers(0, 256, (3, *image.shape)).astype(image.dtype)
    return np.stack([noise[0], image, noise[1], noise[2]])


def ome(names, channels):
    metadata = {"axes": "CYX", "Channel": {"Name": names}}
    return tiff(channels, ome=True, photometric="minisblack", metadata=metadata)


PAGES = other_pages(PICTURE)
INKS = np.concatenate([np.zeros((70, 90, 3), np.uint8), 255 - PICTURE[..., np.newaxis]], axis=2)

CONTAINERS: dict[str, Any] = {
    "PNG 8": (*pillow("a.png", PICTURE), {}),
    "PNG 16": (*pillow("a.png", DEEP), {}),
    "PNG RGB": (*pillow("a.png", rgb(PICTURE)), {}),
    "PNG RGB16": (*deep_png(rgb(DEEP)), {}),
    "PNG RGBA16": (*deep_png(with_alpha(rgb(DEEP), 65535)), {}),
    "PNG grey and alpha 16": (*deep_png(with_alpha(DEEP, 65535)), {}),
    "PNG RGBA": (*pillow("a.png", with_alpha(rgb(PICTURE), 255)), {}),
    "PNG grey and alpha": (*pillow("a.png", with_alpha(PICTURE, 255)), {}),
    "PNG palette": ("a.png", palette_png, {}),
    "BMP": (*pillow("a.bmp", PICTURE), {}),
    "WebP": (*pillow("a.webp", rgb(PICTURE), lossless=True), {}),
    "PNG named .tif": (*pillow("a.tif", PICTURE, format="PNG"), {}),
    "TIFF black is zero": (*tiff(PICTURE, photometric="minisblack"), {}),
    "TIFF white is zero": (*tiff(255 - PICTURE, photometric="miniswhite"), {}),
    "TIFF white is zero 16": (*tiff(65535 - DEEP, photometric="miniswhite"), {}),
    "TIFF RGB": (*tiff(rgb(PICTURE), photometric="rgb"), {}),
    "TIFF RGB16": (*tiff(rgb(DEEP), photometric="rgb"), {}),
    "TIFF RGBA": (*tiff(with_alpha(rgb(PICTURE), 255), photometric="rgb"), {}),
    "TIFF CMYK": (*tiff(INKS, photometric="separated"), {}),
    "TIFF palette": (*tiff(PICTURE, photometric="palette", colormap=RAMP), {}),
    "TIFF planar": (
        *tiff(np.moveaxis(rgb(PICTURE), -1, 0), photometric="rgb", planarconfig="separate"), {},
    ),
    "TIFF pages": (*tiff(PAGES, photometric="minisblack"), {"plane": 1}),
    "TIFF three pages": (*tiff(PAGES[:3], photometric="minisblack"), {"plane": 1}),
    "TIFF samples": (*tiff(np.moveaxis(PAGES, 0, -1), photometric="minisblack",
                            planarconfig="contig"), {"channel": 1}),
    "TIFF tiles": (*tiff(PICTURE, tile=(32, 48), compression="zlib"), {}),
    "TIFF strips": (*tiff(PICTURE, rowsperstrip=7, compression="zlib"), {}),
    "TIFF LZW": (*pillow("a.tif", PICTURE, compression="tiff_lzw"), {}),
    "TIFF predictor": (*pillow("a.tif", rgb(PICTURE), compression="tiff_lzw",
                               tiffinfo={317: 2}), {}),
    "TIFF big endian": (*tiff(DEEP, byteorder=">"), {}),
    "BigTIFF": (*tiff(PICTURE, bigtiff=True), {}),
    "TIFF float": (*tiff(PICTURE.astype(np.float32) / 255), {}),
    "TIFF signed": (*tiff(PICTURE.astype(np.int16) - 128), {}),
    "RGB with the stain in blue": (*tiff(only_blue(PICTURE), photometric="rgb"),
                                   {"channel": "blue"}),
    "PNG with the stain in blue": (*pillow("a.png", only_blue(PICTURE)), {"channel": "Blue"}),
    "PNG RGB16 with the stain in blue": (*deep_png(only_blue(DEEP)), {"channel": 2}),
    "OME by name": (*ome(["GFP", "DAPI", "Cy5"], PAGES[:3]), {"channel": "dapi"}),
    "OME by number": (*ome(["GFP", "DAPI", "Cy5"], PAGES[:3]), {"channel": 1}),
    "ImageJ": (*tiff(PAGES, imagej=True, metadata={"axes": "CYX"}), {"channel": "1"}),
    "ImageJ stack": (*tiff(PAGES, imagej=True, metadata={"axes": "ZYX"}), {"plane": 1}),
}  # fmt: skip


def as_eight_bits(image):
    grey = image if image.ndim == 2 else image[..., 0]
    if image.ndim == 3:
        np.testing.assert_array_equal(image, rgb(grey))
    if grey.dtype == np.uint16:
        return np.ceil(grey / 257)
    if grey.dtype == np.int16:
        return grey + 128
    return np.rint(grey * 255) if grey.dtype.kind == "f" else grey


@pytest.fixture
def model(package):
    return load(package, threads=1)


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_same_picture_in_another_container_gives_the_same_labels(name, tmp_path, model):
    file, write, choice = CONTAINERS[name]
    write(tmp_path / file)
    found = read_image(tmp_path / file, **choice)
    np.testing.assert_array_equal(as_eight_bits(found), PICTURE)
    expected = model.segment(DEEP if found.dtype == np.uint16 else PICTURE)
    assert expected.max() >= 2
    segment_file(model, tmp_path / file, tmp_path / "labels.tif", **choice)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_a_turned_picture_is_read_and_labelled_as_it_is_seen(orientation, file, tmp_path, model):
    stored = {1: PICTURE, 2: PICTURE[:, ::-1], 3: PICTURE[::-1, ::-1], 4: PICTURE[::-1],
              5: PICTURE.T, 6: np.rot90(PICTURE), 7: PICTURE[::-1, ::-1].T,
              8: np.rot90(PICTURE, -1)}[orientation]  # fmt: skip
    path = tmp_path / file
    if file == "a.tif":
        tag = (TAG, "H", 1, orientation, True)
        tifffile.imwrite(path, stored, extratags=[tag], rowsperstrip=7, compression="zlib")
    else:
        exif = Image.Exif()
        exif[TAG] = orientation
        # Each format knows one of the two.
        Image.fromarray(stored).save(path, exif=exif, lossless=True, quality=100)
    found = read_image(path)
    grey = found if found.ndim == 2 else found[..., 0]
    assert grey.shape == PICTURE.shape
    difference = np.abs(grey.astype(int) - PICTURE)
    assert difference.max() <= (3 if file == "a.jpg" else 0)
    done = segment_file(model, path, tmp_path / "labels.tif")
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "labels.tif"), model.segment(grey))
    assert len(done.notes) == (orientation != 1)
    reader = open_reader(SourceSpec(str(path)))
    window = reader((5, 10, 40, 33))
    np.testing.assert_array_equal(window if window.ndim == 2 else window[..., 0], grey[5:40, 10:33])
    reader.close()


def test_a_jpeg_gives_nearly_the_picture(tmp_path):
    for name, image in (("grey", Image.fromarray(PICTURE)),
                        ("cmyk", Image.fromarray(INKS, "CMYK"))):  # fmt: skip
        image.save(tmp_path / f"{name}.jpg", quality=100)
        found = read_image(tmp_path / f"{name}.jpg")
        grey = found if found.ndim == 2 else found[..., 0]
        assert np.abs(grey.astype(int) - PICTURE).max() <= 5
