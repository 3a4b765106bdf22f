"""Kinds of JPEG that Pillow does not decode: 12 bits, lossless, JPEG-LS.

In: the bytes of a JPEG. Out: nothing, or an error that says which kind it is.

Source: ITU-T T.81, table B.1 (markers of frames) and B.2.2 (precision); T.87 for JPEG-LS.
"""

from __future__ import annotations

import struct
from pathlib import Path

from samzoo.runtime.errors import ImageError

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_DECODED = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive, coded by Huffman."""

_LOSSLESS = (0xC3, 0xC7, 0xCB, 0xCF, 0xF7)

_MOST = 2**24
"""Bytes before the frame's header that are looked at (own choice: EXIF and colour profiles)."""


def refuse_unusual_jpeg(path: Path) -> None:
    """Refuse a JPEG that is whole, but of a kind that cannot be decoded here.

    Args:
        path: A JPEG file. One that is damaged passes; decoding it gives the error.

    Raises:
        ImageError: It has more than 8 bits, or is lossless, hierarchical or coded arithmetically.
    """
    with path.open("rb") as file:
        data = file.read(_MOST)
    at = 2
    while at + 5 < len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill bytes
            at += 1
            continue
        if marker in _FRAMES:
            _check(path, marker, data[at + 4])
            return
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]


def _check(path: Path, marker: int, precision: int) -> None:
    if marker in _DECODED and precision == 8:
        return
    what = f"a JPEG of {precision} bits a sample"
    if marker in _LOSSLESS:
        what = f"a lossless JPEG of {precision} bits a sample"
    elif precision == 8:
        what = "a JPEG of an unusual coding (arithmetic or hierarchical)"
    raise ImageError(f"{path}: is {what}, which samzoo does not read; export it as PNG or TIFF")
