"""What a compressed chunk claims, checked before it is decoded, or decoded with a bound.

In: a chunk's bytes, from a stranger, and the bytes that its array's chunks have. Out: the bytes to
decode, or the decoded bytes, or an error. The decoders themselves trust a chunk's header: a Blosc
chunk of 34 bytes crashed the process, and 3 MB of zlib became 3 GB.

Sources: c-blosc 1.21, ``README_CHUNK_FORMAT.rst``; RFC 8878 (Zstandard), sections 3.1.1.1 and
3.1.1.2; numcodecs 0.16, ``lz4.pyx``; the zlib, bz2 and lzma modules.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

BLOSC_HEADER, BLOSC_STORED = 16, 0x02
"""Bytes of a Blosc header, and the flag of a chunk that is not compressed."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_BLOCK = 2**17
"""Most bytes of a compressed Zstandard block, decoded."""

LZMA_MEMORY = 2**28
"""Most bytes that lzma's own dictionary may take (own choice; its strongest preset takes 65 MB)."""


class Stream(Protocol):
    """A decompressor of the standard library, which stops at a number of bytes."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was found."""
        ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Decode at most so many bytes."""
        ...


def check_blosc(data: bytes, limit: int) -> None:
    """Compare a Blosc chunk's header and table of blocks with its size.

    Raises:
        ValueError: They do not fit, or more than ``limit`` bytes are claimed.
    """
    if len(data) < BLOSC_HEADER:
        raise ValueError(f"a Blosc chunk of {len(data)} bytes, its header has {BLOSC_HEADER}")
    size, block, stored = (_number(data, place) for place in (4, 8, 12))
    _within(size, limit)
    if stored != len(data):
        raise ValueError(f"a Blosc chunk of {len(data)} bytes says that it has {stored}")
    if data[2] & BLOSC_STORED:
        if stored != size + BLOSC_HEADER:
            raise ValueError(f"a stored Blosc chunk of {stored} bytes says that it holds {size}")
        return
    if not size:
        return
    if not 0 < block <= size or not data[3]:
        raise ValueError(f"a Blosc chunk of blocks of {block} bytes and values of {data[3]}")
    blocks = -(-size // block)
    first = BLOSC_HEADER + 4 * blocks
    if first > len(data):
        raise ValueError(f"a Blosc chunk of {len(data)} bytes claims {blocks} blocks")
    for number in range(blocks):
        start = _number(data, BLOSC_HEADER + 4 * number)
        if not first <= start <= len(data) - 4:
            raise ValueError(f"a Blosc chunk whose block {number} starts at byte {start}")


def check_lz4(data: bytes, limit: int) -> None:
    """Check the size that numcodecs writes before an LZ4 block.

    Raises:
        ValueError: There is none, or it is above ``limit``.
    """
    if len(data) < 4:
        raise ValueError(f"an LZ4 chunk of {len(data)} bytes")
    _within(_number(data, 0), limit)


def check_zstd(data: bytes, limit: int) -> None:
    """Add up the most that the blocks of a Zstandard frame can hold; its header may say nothing.

    Raises:
        ValueError: The frame is damaged, or could hold more than ``limit`` bytes and a block.
    """
    if data[:4] != ZSTD_MAGIC or len(data) < 6:
        raise ValueError("not a Zstandard frame")
    descriptor = data[4]
    single, kind = descriptor >> 5 & 1, descriptor >> 6
    place = 5 + (not single) + (0, 1, 2, 4)[descriptor & 3]
    width = (single, 2, 4, 8)[kind]
    if width:
        stated = int.from_bytes(data[place : place + width], "little")
        _within(stated + (256 if width == 2 else 0), limit)
    place += width
    most, last = 0, False
    while not last:
        if place + 3 > len(data):
            raise ValueError("a Zstandard frame that is cut off")
        header = int.from_bytes(data[place : place + 3], "little")
        last, form, size = bool(header & 1), header >> 1 & 3, header >> 3
        most += size if form < 2 else ZSTD_BLOCK
        place += 3 + (1 if form == 1 else size)
        _within(most, 4 * limit + 8 * ZSTD_BLOCK)  # blocks may be flushed before they are full
    if not place <= len(data) <= place + 4:  # a checksum may follow; a second frame may not
        raise ValueError("a Zstandard frame with other bytes after it")


def inflated(data: bytes, limit: int, stream: Stream) -> bytes:
    """Decode a stream that does not say how much it holds, up to a limit.

    Raises:
        ValueError: It holds more than ``limit`` bytes, or is damaged.
    """
    try:
        # One byte more than allowed tells a stream that goes on.
        found = stream.decompress(data, limit + 1)
    except (OSError, zlib.error, lzma.LZMAError) as error:
        raise ValueError(str(error)) from error
    if len(found) > limit:
        raise ValueError(f"a chunk of {len(data)} bytes holds more than the array's {limit}")
    if not stream.eof:
        raise ValueError("a chunk that is cut off")
    return found


CHECKS: dict[str, Callable[[bytes, int], None]] = {
    "blosc": check_blosc,
    "lz4": check_lz4,
    "zstd": check_zstd,
}
"""Codecs whose chunks say what they hold."""

STREAMS: dict[str, Callable[[], Stream]] = {
    "zlib": zlib.decompressobj,
    "gzip": lambda: zlib.decompressobj(wbits=31),
    "bz2": bz2.BZ2Decompressor,
    "lzma": lambda: lzma.LZMADecompressor(memlimit=LZMA_MEMORY),
}
"""Codecs whose chunks do not: samzoo decodes them itself."""


def _number(data: bytes, place: int) -> int:
    return int.from_bytes(data[place : place + 4], "little")


def _within(size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(f"a chunk claims {size} bytes, the array's have {limit}")
