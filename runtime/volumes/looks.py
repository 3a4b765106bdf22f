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
from samzoo.runtime.images.label_table import LabelTable, write_tables
from samzoo.runtime.outlines.rings import trace
from samzoo.runtime.outlines.writing import outline_path, planes_of, write_outlines
from samzoo.runtime.pieces.reduction import LARGEST
from samzoo.runtime.pieces.request import Request
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.averaging import block_means
from samzoo.runtime.windows.opening import open_source

MOST_PLANES = 16
"""Most planes in a picture (own choice)."""

GAP = 4
"""Pixels between the planes of a picture (own choice)."""


def write_stack_table(
    path: Path, labels: Labels3D, *, inner: int, facts: Mapping[str, Any] | None = None
) -> None:
    """List the objects of a stack.

    Args:
        path: The CSV file.
        labels: ``(..., height, width)``.
        inner: Number of axes that are numbered together. With 2, each plane has its own objects,
            and the first column is ``plane``. With 3, volumes have; the first column is ``frame``
            if there are several.
        facts: As in ``LabelTable``.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    tables = _tables(labels, inner, facts)
    if labels.ndim == inner:
        tables[0].write(path)
    else:
        write_tables(path, tables, "plane" if inner == 2 else "frame")


def _tables(labels: Labels3D, inner: int, facts: Mapping[str, Any] | None) -> list[LabelTable]:
    size = labels.shape[-inner:]
    tables = []
    for part in labels.reshape(-1, *size):
        table = LabelTable(size, facts=facts)
        for piece in [part] if inner == 2 else np.split(part, len(part)):
            table.add(piece)
        tables.append(table)
    return tables


def write_stack_outlines(request: Request, labels: Labels3D, axes: str, *, inner: int) -> None:
    """Write the outlines of a stack's objects, plane by plane, if they are asked for.

    Args:
        request: The request, with the formats.
        labels: ``(..., height, width)``.
        axes: ``z``, ``t`` or ``tz``.
        inner: As in ``write_stack_table``; of a volume, what is measured is of the whole object.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    if not request.outlines:
        return
    planes = planes_of(axes, labels.shape[:-2])
    flat = labels.reshape(-1, *labels.shape[-2:])
    each = 1 if inner == 2 else labels.shape[-3]
    known = [table.measurements() for table in _tables(labels, inner, None)]
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
        with closing(open_source(dataclasses.replace(spec, plane=index))) as source:
            image = source.read((0, 0, height, width))
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
