"""Views of a segmented stack: a table of its objects, and a picture of some of its planes.

In: labels of all planes, and the image file. Out: a CSV file, or a picture for the overlay.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D, Labels3D
from samzoo.runtime.images.label_table import LabelTable, intensity_names, write_tables
from samzoo.runtime.outlines.rings import trace
from samzoo.runtime.outlines.writing import outline_path, planes_of, write_outlines
from samzoo.runtime.pieces.reduction import LARGEST
from samzoo.runtime.pieces.request import Request
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.averaging import block_means
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.pixel_size import pixel_sizes

MOST_PLANES = 16
"""Most planes in a picture (own choice)."""

GAP = 4
"""Pixels between the planes of a picture (own choice)."""


def write_stack_objects(
    request: Request, labels: Labels3D, axes: str, *, inner: int, facts: Mapping[str, Any]
) -> None:
    """Write the table and the outlines of a stack's objects, if they are asked for.

    The first column of the table is ``plane`` where each plane has its own objects, ``frame`` in a
    series of volumes. Outlines are those of each plane; in a volume, what is measured is of the
    whole object.

    Args:
        request: The request.
        labels: ``(..., height, width)``.
        axes: Names of the axes before height and width.
        inner: Number of axes that are numbered together: 2 for planes, 3 for volumes.
        facts: The scale that was used.

    Raises:
        SamzooError: The image cannot be read again, or a file cannot be written.
    """
    if request.table is None and not request.outlines:
        return
    tables = _tables(request.source, labels, inner, facts)
    if request.table is not None and labels.ndim == inner:
        tables[0].write(request.table)
    elif request.table is not None:
        write_tables(request.table, tables, "plane" if inner == 2 else "frame")
    if not request.outlines:
        return
    planes = planes_of(axes, labels.shape[:-2])
    flat = labels.reshape(-1, *labels.shape[-2:])
    each = 1 if inner == 2 else labels.shape[-3]
    known = [table.measurements() for table in tables]
    measured = {
        (plane, label): values
        for index, plane in enumerate(planes)
        for label, values in known[index // each].items()
    }
    for form in request.outlines:
        write_outlines(
            outline_path(request.output, form), form,
            ((plane, trace(part)) for plane, part in zip(planes, flat, strict=True)),
            image=Path(request.source.path).name, measured=measured,
        )  # fmt: skip


def _tables(
    spec: SourceSpec, labels: Labels3D, inner: int, facts: Mapping[str, Any]
) -> list[LabelTable]:
    size, sizes = labels.shape[-inner:], pixel_sizes(spec)
    facts = {"image": Path(spec.path).name, **facts}
    each, tables = 1 if inner == 2 else labels.shape[-3], list[LabelTable]()
    for index, plane in enumerate(labels.reshape(-1, *labels.shape[-2:])):
        image = _plane(spec, index)
        if index % each == 0:
            channels = intensity_names(1 if image.ndim == 2 else image.shape[2])
            tables.append(LabelTable(size, facts=facts, channels=channels, sizes=sizes))
        tables[-1].add(*((plane, image) if inner == 2 else (plane[None], image[None])))
    return tables


def _plane(spec: SourceSpec, index: int) -> Array:
    with closing(open_source(dataclasses.replace(spec, plane=index))) as source:
        return source.read((0, 0, *source.size))


def contact_sheet(spec: SourceSpec, labels: Labels3D) -> tuple[Array, Labels2D]:
    """Lay planes of a stack side by side, chosen evenly from the first to the last.

    Args:
        spec: The image file.
        labels: ``(..., height, width)``.

    Returns:
        Image and labels of equal size, in rows from the top left, reduced by a whole factor so
        that their sides have at most about ``LARGEST`` pixels. Both are zero between the planes.
    """
    height, width = labels.shape[-2:]
    flat = labels.reshape(-1, height, width)
    count = min(len(flat), MOST_PLANES)
    chosen = np.rint(np.linspace(0, len(flat) - 1, count)).astype(int).tolist()
    columns = math.ceil(math.sqrt(count * height / width))
    columns = min(max(columns, 1), count)
    rows = -(-count // columns)
    factor = -(-max(rows * height, columns * width) // LARGEST)

    def plane(index: int) -> Array:
        image = _plane(spec, index)
        return block_means(image, factor).astype(image.dtype) if factor > 1 else image

    return _laid_out([plane(index) for index in chosen], columns), _laid_out(
        [flat[index, ::factor, ::factor] for index in chosen], columns
    )


def _laid_out(parts: Sequence[Array], columns: int) -> Array:
    height, width = parts[0].shape[:2]
    rows = -(-len(parts) // columns)
    size = (rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, *parts[0].shape[2:])
    sheet = np.zeros(size, parts[0].dtype)
    for index, part in enumerate(parts):
        row, column = divmod(index, columns)
        y, x = row * (height + GAP), column * (width + GAP)
        sheet[y : y + height, x : x + width] = part
    return sheet
