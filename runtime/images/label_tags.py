"""What label TIFFs say of themselves: colours, display range, pixel size; for ImageJ or as OME.

In: what is known of the labels. Out: arguments for tifffile's ``imwrite``.

Sources: ImageJ 1.54, ``ij/io/TiffEncoder.java`` and ``FileOpener.java`` (description, and a look-up
table of 256 colours also for 16 bits); OME schema 2016-06, ``Pixels``.
"""

from __future__ import annotations

import colorsys
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .origin import LABELS_SOFTWARE, RECORD, LabelFacts

PixelSizes = Mapping[str, tuple[float, str | None]]
"""Size and unit by axis, as ``windows.pixel_size`` reads them; empty if nothing is known."""

OME_ENDINGS = (".ome.tif", ".ome.tiff")
"""Names of label files that are written as OME-TIFF."""

MICROMETRES = {
    "micrometer": 1.0, "nanometer": 1e-3, "angstrom": 1e-4, "millimeter": 1e3, "centimeter": 1e4,
    "meter": 1e6,
}  # fmt: skip
"""A unit of length in micrometres, by OME-NGFF's name."""

SECONDS = {"second": 1.0, "millisecond": 1e-3, "minute": 60.0, "hour": 3600.0}
"""A unit of time in seconds, by OME-NGFF's name."""

COLOURS = 256
"""Entries of a look-up table of ImageJ."""

_GOLDEN = 0.6180339887498949
"""Steps of this share of the colour circle never come close to each other soon."""


def micrometres(sizes: PixelSizes) -> dict[str, float]:
    """Return the sizes of pixels along ``z``, ``y`` and ``x`` in micrometres, where known.

    >>> micrometres({"x": (250.0, "nanometer"), "y": (0.25, "micrometer"), "z": (2.0, None)})
    {'x': 0.25, 'y': 0.25}
    """
    return {
        axis: size * MICROMETRES[unit]
        for axis, (size, unit) in sizes.items()
        if axis in "zyx" and unit in MICROMETRES
    }


def label_colours() -> NDArray[np.uint16]:
    """Return a look-up table in which neighbouring labels have unlike colours, and 0 is black.

    Returns:
        ``(3, 256)``: red, green and blue, from 0 to 65535.
    """
    table = np.zeros((3, COLOURS), np.uint16)
    for label in range(1, COLOURS):
        strong, bright = 0.55 + 0.15 * (label % 4), 1.0 - 0.12 * (label % 3)
        colour = colorsys.hsv_to_rgb(label * _GOLDEN % 1, strong, bright)
        table[:, label] = [round(255 * each) * 257 for each in colour]
    return table


def tags_of_labels(
    path: Path,
    *,
    largest: int,
    axes: str = "",
    lengths: Sequence[int] = (),
    sizes: PixelSizes | None = None,
    facts: LabelFacts = None,
) -> dict[str, Any]:
    """Return what ``tifffile.imwrite`` needs beside the pixels.

    Args:
        path: The label file; a name of ``OME_ENDINGS`` asks for OME-TIFF.
        largest: The largest label.
        axes: Axes before height and width: none, ``z``, ``t`` or ``tz``.
        lengths: Their lengths.
        sizes: Pixel sizes of the image, which are those of its labels.
        facts: How the labels were made.
    """
    sizes = sizes or {}
    options: dict[str, Any] = {
        "compression": "zlib", "photometric": "minisblack", "software": LABELS_SOFTWARE,
    }  # fmt: skip
    if path.name.lower().endswith(OME_ENDINGS):
        metadata = _ome_metadata(axes, sizes, facts)
        return {**options, "ome": True, "metadata": metadata}
    known = micrometres(sizes)
    lines = _imagej_lines(axes, lengths, sizes, largest)
    if facts:
        lines.append(f"{RECORD}={json.dumps(dict(facts))}")
    if "y" in known and "x" in known:
        options["resolution"] = (1 / known["x"], 1 / known["y"])
        options["resolutionunit"] = 1  # the description names it
    table = label_colours()
    return {
        **options, "metadata": None, "description": "\n".join([*lines, ""]),
        "extratags": [(320, 3, table.size, table.ravel(), True)],
    }  # fmt: skip


def _imagej_lines(axes: str, lengths: Sequence[int], sizes: PixelSizes, largest: int) -> list[str]:
    lines, known = ["ImageJ=1.54f"], micrometres(sizes)
    counts = dict(zip(axes, lengths, strict=True))
    if counts:
        lines.append(f"images={int(np.prod(lengths))}")
        lines += [f"slices={counts['z']}"] if "z" in counts else []
        lines += [f"frames={counts['t']}", "hyperstack=true"] if "t" in counts else []
        lines += ["mode=grayscale", "loop=false"]
    if "y" in known and "x" in known:
        lines.append("unit=micron")
        if "z" in counts and "z" in known:
            lines.append(f"spacing={known['z']!r}")
    step, unit = sizes.get("t", (0.0, None))
    if "t" in counts and unit in SECONDS:
        lines.append(f"finterval={step * SECONDS[unit]!r}")
    # Up to 255 labels each has the colour of its own number; more labels share them.
    return [*lines, "min=0.0", f"max={max(largest, COLOURS - 1):.1f}"]


def _ome_metadata(axes: str, sizes: PixelSizes, facts: LabelFacts) -> dict[str, Any]:
    metadata: dict[str, Any] = {"axes": f"{axes.upper()}YX"}
    for axis, size in micrometres(sizes).items():
        if axis in f"{axes}yx":
            metadata[f"PhysicalSize{axis.upper()}"] = size
            metadata[f"PhysicalSize{axis.upper()}Unit"] = "µm"
    step, unit = sizes.get("t", (0.0, None))
    if "t" in axes and unit in SECONDS:
        metadata.update(TimeIncrement=step * SECONDS[unit], TimeIncrementUnit="s")
    if facts:
        metadata["Description"] = json.dumps({RECORD: dict(facts)})
    return metadata
