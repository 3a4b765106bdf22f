"""Outlines as a zip file of ImageJ ROIs, which Fiji's ROI Manager opens.

In: outlines. Out: the bytes of one ROI, and of the zip file.

Source: ImageJ 1.54, ``ij/io/RoiDecoder.java`` and ``RoiEncoder.java``, which are public domain; the
comments there name the fields. An object of one part without holes is a traced polygon, as ImageJ's
wand makes it; any other is a composite selection.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from .rings import Outline

LARGEST = 60535
"""Largest coordinate of a ROI: 16 bits, less what ImageJ reads as negative numbers."""

_VERSION, _COMPOSITE, _TRACED = 228, 1, 8
_HEADER, _HEADER_2 = 64, 64
_MOST_SHORT = 0xFFFF
"""Corners that the 16 bits of the header count; more are counted in 32 bits elsewhere."""

_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
_WHEN = (1980, 1, 1, 0, 0, 0)
"""Time of all files in the zip, so that equal outlines give equal files."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where in a stack a ROI is, from 1; 0 stands for everywhere.

    Attributes:
        image: Number of the plane, of a stack that has one axis besides rows and columns.
        slice: Number of the slice, of a stack that has frames, too.
        frame: Number of the frame, of a stack that has slices, too.
    """

    image: int = 0
    slice: int = 0
    frame: int = 0


NOWHERE = Position()


@dataclass(frozen=True, kw_only=True)
class Roi:
    """A named outline.

    Attributes:
        name: Its name in the ROI Manager.
        outline: The outline.
        colour: (red, green, blue) of its line.
        position: Where it is in a stack.
    """

    name: str
    outline: Outline
    colour: tuple[int, int, int]
    position: Position = NOWHERE


def roi_bytes(roi: Roi) -> bytes:
    """Return the bytes of a ``.roi`` file.

    Args:
        roi: An outline with at least one polygon and no coordinate above ``LARGEST``.
    """
    polygons = roi.outline.polygons
    rings = [ring for polygon in polygons for ring in polygon]
    corners = np.concatenate(rings)
    left, top = corners.min(axis=0).tolist()
    right, bottom = corners.max(axis=0).tolist()
    body: bytes
    if len(rings) == 1:
        kind, count, floats = _TRACED, len(corners), 0
        body = (rings[0] - (left, top)).T.astype(">u2").tobytes()
    else:
        path = [number for ring in rings for number in _segments(ring.tolist())]
        kind, count, floats = _COMPOSITE, 0, len(path)
        body = np.array(path, ">f4").tobytes()
    second = _HEADER + len(body)
    header = bytearray(_HEADER)
    struct.pack_into(">4sHBx4HH", header, 0, b"Iout", _VERSION, kind, top, left, bottom, right,
                     count if count <= _MOST_SHORT else 0)  # fmt: skip
    struct.pack_into(">i", header, 36, floats)
    struct.pack_into(">4B", header, 40, 255, *roi.colour)
    struct.pack_into(">ii", header, 56, roi.position.image, second)
    if count > _MOST_SHORT:
        struct.pack_into(">i", header, 18, count)
    tail = bytearray(_HEADER_2)
    name = roi.name.encode("utf-16-be")
    struct.pack_into(">iiiii", tail, 4, 0, roi.position.slice, roi.position.frame,
                     second + _HEADER_2, len(name) // 2)  # fmt: skip
    return bytes(header) + body + bytes(tail) + name


def zipped_rois(rois: Iterable[Roi]) -> bytes:
    """Return the bytes of a zip file of ROIs.

    Args:
        rois: With names that differ.
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for roi in rois:
            archive.writestr(zipfile.ZipInfo(f"{roi.name}.roi", _WHEN), roi_bytes(roi),
                             zipfile.ZIP_DEFLATED)  # fmt: skip
    return data.getvalue()


def _segments(points: list[list[int]]) -> list[float]:
    path: list[float] = []
    for index, (x, y) in enumerate(points):
        path += [_LINE if index else _MOVE, x, y]
    return [*path, _CLOSE]
