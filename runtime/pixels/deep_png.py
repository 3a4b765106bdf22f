"""PNG files of 16 bits a sample in colour or with alpha, decoded with all their bits.

In: the bytes of a PNG. Out: its samples. Pillow keeps the upper eight bits of such a file (Pillow
13, ``PngImagePlugin``: rawmode ``RGB;16B``); docs/decisions/0017 says why this is own code.

Source: PNG specification, third edition, sections 5 (chunks), 8 (Adam7) and 9 (filters).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"

SAMPLES = {0: 1, 2: 3, 4: 2, 6: 4}
"""Samples a pixel by colour type; a palette (3) never has 16 bits."""

_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
          (1, 0, 2, 1))  # fmt: skip
"""First row, first column, row step and column step of each pass."""

_SUB, _UP, _AVERAGE, _PAETH = 1, 2, 3, 4


def depth_and_colour(start: bytes) -> tuple[int, int]:
    """Return bits a sample and colour type from the first bytes of a PNG."""
    return start[24], start[25]


def decode_deep(data: bytes) -> NDArray[np.uint16]:
    """Decode a PNG of 16 bits a sample.

    Args:
        data: The file.

    Returns:
        ``(height, width, samples)``: grey, grey and alpha, RGB, or RGB and alpha.

    Raises:
        ValueError: The file is damaged.
        zlib.error: Its compressed data are damaged.
    """
    packed = bytearray()
    header = b""
    for name, content in _chunks(data):
        if name == b"IHDR":
            header = content
        elif name == b"IDAT":
            packed += content
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 16 or colour not in SAMPLES:
        raise ValueError(f"depth {depth} and colour type {colour} are not 16 bits a sample")
    samples = SAMPLES[colour]
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    sizes = [(-(-(height - y) // dy), -(-(width - x) // dx)) for y, x, dy, dx in passes]
    expected = sum(h * (1 + w * 2 * samples) for h, w in sizes if h > 0 and w > 0)
    stream = zlib.decompressobj()
    raw = np.frombuffer(stream.decompress(bytes(packed), expected), np.uint8)
    if raw.size != expected:
        raise ValueError(f"found {raw.size} bytes of pixels, expected {expected}")
    image = np.empty((height, width, samples), np.uint16)
    start = 0
    for (y, x, dy, dx), (h, w) in zip(passes, sizes, strict=True):
        if h <= 0 or w <= 0:
            continue
        length = h * (1 + w * 2 * samples)
        lines = raw[start : start + length].reshape(h, -1)
        start += length
        values = _unfiltered(lines[:, 0], lines[:, 1:].reshape(h, w, 2 * samples))
        image[y::dy, x::dx] = values.reshape(h, w, samples, 2).view(">u2")[..., 0]
    return image


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        content = data[at + 8 : at + 8 + length]
        check = data[at + 8 + length : at + 12 + length]
        if len(check) < 4 or zlib.crc32(name + content) != int.from_bytes(check, "big"):
            raise ValueError(f"the chunk {name!r} is damaged or incomplete")
        yield name, content
        if name == b"IEND":
            return
        at += 12 + length
    raise ValueError("the end of the file is missing")


def _unfiltered(kinds: NDArray[np.uint8], lines: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Undo the filters of one pass.

    A byte depends on those left, above, and above left of it. So all bytes on a diagonal can be
    computed at once, which takes height + width steps of NumPy and not height x width.

    Args:
        kinds: Filter of each row.
        lines: ``(height, width, bytes a pixel)``, filtered.

    Returns:
        As ``lines``, the bytes themselves.
    """
    if kinds.size and kinds.max() > _PAETH:
        raise ValueError(f"filter {kinds.max()} is unknown")
    height, width, count = lines.shape
    result = np.empty_like(lines)
    stored, seen = lines.reshape(-1, count), result.reshape(-1, count)
    stride = max(width - 1, 1)  # from a pixel to the one below and left of it
    used = set(kinds.tolist())
    # The last two diagonals: at row + 1 the bytes of each row, zeros before the first.
    before, last, now = (np.zeros((height + 1, count), np.int16) for _ in range(3))
    for step in range(height + width - 1):
        first, end = max(0, step - width + 1), min(height, step + 1)
        diagonal = slice(first * (width - 1) + step, (end - 1) * (width - 1) + step + 1, stride)
        kind = kinds[first:end, np.newaxis]
        left, above = last[first + 1 : end + 1], last[first:end]
        guess = np.where(kind == _SUB, left, 0)
        if _UP in used:
            np.copyto(guess, above, where=kind == _UP)
        if _AVERAGE in used:
            np.copyto(guess, (left + above) >> 1, where=kind == _AVERAGE)
        if _PAETH in used:
            np.copyto(guess, _paeth(left, above, before[first:end]), where=kind == _PAETH)
        now[first + 1 : end + 1] = (guess + stored[diagonal]) & 255
        seen[diagonal] = now[first + 1 : end + 1]
        before, last, now = last, now, before
    return result


def _paeth(
    left: NDArray[np.int16], above: NDArray[np.int16], corner: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Return the neighbour that is nearest to left + above - corner; the first of equals."""
    to_left, to_above = above - corner, left - corner
    to_corner = np.abs(to_left + to_above)
    np.abs(to_left, out=to_left)
    np.abs(to_above, out=to_above)
    guess = np.where(to_above <= to_corner, above, corner)
    np.copyto(guess, left, where=(to_left <= to_above) & (to_left <= to_corner))
    return guess
