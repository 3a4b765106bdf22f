"""JPEGs that cannot be decoded are not called damaged."""

import io

import numpy as np
import pytest
from PIL import Image

from samzoo.runtime import read_image
from samzoo.runtime.errors import ImageError

PICTURE = np.random.default_rng(3).integers(0, 255, (40, 50), np.uint8)


def jpeg(**options):
    content = io.BytesIO()
    Image.fromarray(PICTURE).save(content, "JPEG", **options)
    return content.getvalue()


def as_frame(data, marker, precision):
    """The same file with another kind of frame in its header."""
    at = next(i for i in range(len(data)) if data[i : i + 2] in (b"\xff\xc0", b"\xff\xc2"))
    changed = bytearray(data)
    changed[at + 1], changed[at + 4] = marker, precision
    return bytes(changed)


@pytest.mark.parametrize(
    ("marker", "precision", "what"),
    [(0xC1, 12, "a JPEG of 12 bits a sample"), (0xC3, 16, "a lossless JPEG of 16 bits a sample"),
     (0xF7, 8, "a lossless JPEG of 8 bits"), (0xC9, 8, "an unusual coding")],
)  # fmt: skip
def test_each_kind_is_named(tmp_path, marker, precision, what):
    path = tmp_path / "a.jpg"
    path.write_bytes(as_frame(jpeg(), marker, precision))
    with pytest.raises(ImageError, match=f"a.jpg: is .*{what}.*; export it as PNG or TIFF"):
        read_image(path)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"comment": b"x" * 9000}])
def test_usual_ones_are_read(tmp_path, options):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(quality=100, **options))
    assert np.abs(read_image(path).astype(int) - PICTURE).max() <= 4


@pytest.mark.parametrize("length", [3, 10, 100])
def test_a_truncated_one_is_called_damaged(tmp_path, length):
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg()[:length])
    with pytest.raises(ImageError, match="damaged or incomplete"):
        read_image(path)


def test_a_real_12_bit_jpeg_is_named(tmp_path):
    imagecodecs = pytest.importorskip("imagecodecs")
    path = tmp_path / "a.jpg"
    data = imagecodecs.jpeg8_encode(PICTURE.astype(np.uint16) << 4, bitspersample=12)
    path.write_bytes(data)
    with pytest.raises(ImageError, match="a JPEG of 12 bits"):
        read_image(path)
