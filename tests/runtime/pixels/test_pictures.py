"""PNG, JPEG, BMP, GIF and WebP: what each says of its pixels."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime.errors import ImageError, InputError
from samzoo.runtime.pixels.pictures import picture_reader
from samzoo.runtime.pixels.source_spec import SourceSpec


@pytest.fixture
def grey():
    return np.random.default_rng(2).integers(0, 256, (20, 30)).astype(np.uint8)


def write_grey_png(path, values, bits):
    """Write a grey PNG of few bits, which Pillow cannot, by the specification."""

    def chunk(name, content):
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    places = (values[..., np.newaxis] >> np.arange(bits)[::-1]) & 1
    lines = np.packbits(places.reshape(len(values), -1).astype(np.uint8), axis=1)
    data = b"".join(b"\0" + line.tobytes() for line in lines)
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
                     + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b""))  # fmt: skip


def read(path, *, as_labels=False, **choice):
    kind = {".gif": "GIF", ".png": "PNG", ".bmp": "BMP", ".webp": "WebP"}[path.suffix]
    reader = picture_reader(SourceSpec(str(path), **choice), kind, as_labels=as_labels)
    return reader((0, 0, reader.shape[0], reader.shape[1]))


@pytest.mark.parametrize("suffix", [".bmp", ".gif", ".webp", ".png"])
def test_lossless_pictures_keep_their_values(tmp_path, grey, suffix):
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(grey).save(tmp_path / f"a{suffix}", **options)
    found = read(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(found if found.ndim == 2 else found[..., 1], grey)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_are_spread_over_0_to_255_but_labels_are_not(tmp_path, grey, bits):
    values = grey % 2**bits
    write_grey_png(tmp_path / "a.png", values, bits)
    found = read(tmp_path / "a.png")
    shown = found * np.uint8(255) if bits == 1 else found
    np.testing.assert_array_equal(shown, values * (255 // (2**bits - 1)))
    np.testing.assert_array_equal(read(tmp_path / "a.png", as_labels=True), values)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_an_animation_needs_a_frame(tmp_path, grey, suffix):
    frames = [Image.fromarray(np.roll(grey, i, axis=0)).convert("RGB") for i in range(3)]
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:], **options)
    path = tmp_path / f"a{suffix}"
    with pytest.raises(ImageError, match="is an animation of 3 frames; choose one with --plane"):
        read(path)
    with pytest.raises(InputError, match="plane 3 does not exist, the file has 3: 0 to 2"):
        read(path, plane=3)
    if suffix != ".gif":  # whose colours are approximate
        np.testing.assert_array_equal(read(path, plane=2), np.array(frames[2]))


@pytest.mark.parametrize("name", ["level", "series"])
def test_a_picture_has_one_level_and_one_image(tmp_path, grey, name):
    Image.fromarray(grey).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read(tmp_path / "a.png", **{name: 0}), grey)
    with pytest.raises(InputError, match=f"--{name}: found 1, a PNG file holds one image"):
        read(tmp_path / "a.png", **{name: 1})


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P", "L", "RGB", "I;16"])
def test_transparency_of_every_kind_is_refused(tmp_path, grey, mode):
    path = tmp_path / "a.png"
    options: dict[str, Any] = {}
    image = Image.fromarray(grey)
    if mode in ("LA", "RGBA"):
        image = image.convert(mode)
        image.putalpha(Image.fromarray(np.where(grey > 100, 255, 0).astype(np.uint8)))
    elif mode == "P":
        image, options = image.convert("P"), {"transparency": int(grey[0, 0])}
    elif mode == "L":
        options = {"transparency": int(grey[3, 4])}
    elif mode == "RGB":
        image, options = image.convert("RGB"), {"transparency": (int(grey[3, 4]),) * 3}
    else:
        image = Image.fromarray(grey.astype(np.uint16) * 200)
        options = {"transparency": int(grey[3, 4]) * 200}
    image.save(path, **options)
    with pytest.raises(ImageError, match=r"a\.png: parts of the picture are transparent"):
        read(path)


def test_a_transparent_colour_that_no_pixel_has_says_nothing(tmp_path, grey):
    values = np.maximum(grey, 1)
    Image.fromarray(values).save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), values)
