"""Compressed chunks that lie are refused before a decoder sees them."""

import gzip
import struct
import zlib
from functools import partial
from typing import Any

import numpy as np
import pytest

from samzoo.runtime.pixels.zarr_chunks.encoded import (
    CHECKS,
    STREAMS,
    check_blosc,
    check_lz4,
    check_zstd,
    inflated,
)

VALUES = np.arange(5000, dtype=np.uint16).tobytes()


def encoders():
    numcodecs = pytest.importorskip("numcodecs")
    return {
        **{
            f"blosc {kind} {shuffle}": ("blosc", numcodecs.Blosc(kind, shuffle=shuffle))
            for kind in ("lz4", "zstd", "zlib", "blosclz")
            for shuffle in (0, 1, 2)
        },
        "small blocks": ("blosc", numcodecs.Blosc("lz4", blocksize=256)),
        "lz4": ("lz4", numcodecs.LZ4()),
        "zstd": ("zstd", numcodecs.Zstd(level=3)),
        "zlib": ("zlib", numcodecs.Zlib()),
        "gzip": ("gzip", numcodecs.GZip()),
        "bz2": ("bz2", numcodecs.BZ2()),
        "lzma": ("lzma", numcodecs.LZMA()),
    }


@pytest.mark.parametrize("data", [b"ab", bytes(70000), VALUES], ids=len)
def test_what_a_codec_writes_is_taken(data):
    for label, (name, codec) in encoders().items():
        stored = codec.encode(data)
        if name in STREAMS:
            assert inflated(stored, len(data), STREAMS[name]()) == data, label
        else:
            CHECKS[name](stored, len(data))


def streamed(make, data, limit):
    return inflated(data, limit, make())


def test_what_holds_more_than_the_chunk_is_refused():
    for name, codec in encoders().values():
        stored = codec.encode(VALUES)
        check: Any = CHECKS.get(name) or partial(streamed, STREAMS[name])
        with pytest.raises(ValueError, match=r"claims|holds"):
            check(stored, len(VALUES) - 1)


def test_a_bomb_is_never_inflated():
    bomb = zlib.compress(bytes(2**26))
    assert len(bomb) < 2**17
    with pytest.raises(ValueError, match="holds more than the array's 100"):
        inflated(bomb, 100, STREAMS["zlib"]())
    with pytest.raises(ValueError, match="holds more"):
        inflated(gzip.compress(bytes(2**24)), 100, STREAMS["gzip"]())


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("data", [b"", b"\x78", b"garbage"])
def test_a_damaged_stream_is_refused(name, data):
    with pytest.raises(ValueError, match=r"."):
        inflated(data, 100, STREAMS[name]())


def blosc(*, flags=1, typesize=1, size=1000, block=1000, stored=None, rest=b"\x14\0\0\0" * 4):
    stored = 16 + len(rest) if stored is None else stored
    return struct.pack("<4B3I", 2, 1, flags, typesize, size, block, stored) + rest


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x02\x01", "of 2 bytes, its header has 16"),
        (blosc(stored=2**31 - 1), "says that it has 2147483647"),
        (blosc(size=2**31), "claims 2147483648 bytes"),
        (blosc(flags=2), "says that it holds 1000"),
        (blosc(block=0), "blocks of 0 bytes"),
        (blosc(block=2000), "blocks of 2000 bytes"),
        (blosc(typesize=0), "values of 0"),
        (blosc(block=1), "claims 1000 blocks"),
        (blosc(rest=b"\xff\xff\xff\x7f" * 4), "block 0 starts at byte 2147483647"),
        (blosc(rest=b"\x01\0\0\0" * 4), "block 0 starts at byte 1"),
    ],
)
def test_a_blosc_header_that_lies_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        check_blosc(data, 1000)


def zstd(*, header=b"\x20\x64", blocks=()):
    body = b"".join(
        (size << 3 | form << 1 | (n == len(blocks) - 1)).to_bytes(3, "little")
        + (b"a" if form == 1 else bytes(size))
        for n, (form, size) in enumerate(blocks)
    )
    return b"\x28\xb5\x2f\xfd" + header + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a Zstandard frame"),
        (zstd(blocks=[(1, 100)])[:-1] + b"abcdef", "other bytes after it"),
        (zstd(header=b"\x20\x65", blocks=[(1, 100)]), "claims 101 bytes"),
        (zstd(header=b"\x00\x58", blocks=[(1, 2**21 - 1)] * 5), "claims"),
        (zstd(blocks=[(2, 50)])[:20], "other bytes|cut off"),
        (zstd(), "cut off"),
    ],
)
def test_a_zstandard_frame_that_lies_is_refused(data, message):
    with pytest.raises(ValueError, match=message):
        check_zstd(data, 100)


def test_a_size_before_an_lz4_block_counts():
    check_lz4(struct.pack("<I", 100) + b"ab", 100)
    with pytest.raises(ValueError, match="claims 101 bytes"):
        check_lz4(struct.pack("<I", 101) + b"ab", 100)
    with pytest.raises(ValueError, match="of 3 bytes"):
        check_lz4(b"abc", 100)


def test_mutated_blosc_chunks_never_crash_the_decoder():
    """Without the check the process ended with SIGSEGV within some hundred of them."""
    numcodecs = pytest.importorskip("numcodecs")
    rng = np.random.default_rng(0)
    good = [codec.encode(VALUES[:1000]) for name, codec in encoders().values() if name == "blosc"]
    for _ in range(3000):
        changed = bytearray(good[rng.integers(len(good))])
        for place in rng.integers(40, size=rng.integers(1, 5)):
            changed[place] = rng.integers(256)
        try:
            check_blosc(bytes(changed), 2**20)
            numcodecs.Blosc().decode(bytes(changed))
        except (ValueError, RuntimeError):
            continue
