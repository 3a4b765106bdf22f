"""PNGs of 16 bits a sample, written here by the specification, and by imagecodecs (libpng)."""

import struct
import zlib

import numpy as np
import pytest
from deep_png_writer import COLOUR_TYPES, write

from samzoo.runtime.pixels.deep_png import decode_deep


@pytest.mark.parametrize("kinds", [(0,), (1,), (2,), (3,), (4,), (4, 2, 3, 1, 0)])
@pytest.mark.parametrize("samples", COLOUR_TYPES)
@pytest.mark.parametrize("interlaced", [False, True])
def test_every_filter_and_order_gives_all_bits_back(kinds, samples, interlaced):
    rng = np.random.default_rng(5)
    for size in ((1, 1), (1, 9), (9, 1), (13, 17)):
        image = rng.integers(0, 2**16, (*size, samples)).astype(np.uint16)
        found = decode_deep(write(image, kinds, interlaced=interlaced))
        np.testing.assert_array_equal(found, image)


def test_what_libpng_writes_is_read():
    imagecodecs = pytest.importorskip("imagecodecs")
    y, x = np.mgrid[:70, :90]
    image = np.stack([(y * 531 + x * k * 97) % 65536 for k in (1, 2, 3)], -1).astype(np.uint16)
    np.testing.assert_array_equal(decode_deep(imagecodecs.png_encode(image, level=6)), image)


def test_damage_is_an_error():
    image = np.arange(60, dtype=np.uint16).reshape(4, 5, 3)
    whole = write(image, (4,))
    for end in (20, 60, len(whole) - 13, len(whole) - 1):
        with pytest.raises((ValueError, zlib.error, struct.error)):
            decode_deep(whole[:end])
    broken = bytearray(whole)
    broken[70] ^= 255
    with pytest.raises(ValueError, match="damaged"):
        decode_deep(bytes(broken))
    with pytest.raises(ValueError, match="depth 8"):
        decode_deep(write(image, (0,), depth=8))
