"""The one reader of image files: every verb opens images here.

In: a ``SourceSpec``. Out: a ``Reader`` of grey or RGB, turned as it is to be seen.
"""

from __future__ import annotations

import dataclasses
from contextlib import closing
from pathlib import Path

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.pixels.channels import COLOURS, channel_number
from samzoo.runtime.pixels.decoders import check_budget
from samzoo.runtime.pixels.kinds import kind_of, misnamed
from samzoo.runtime.pixels.orientation import UPRIGHT
from samzoo.runtime.pixels.pictures import picture_reader
from samzoo.runtime.pixels.reader import ColourReader, Reader, TurnedReader, Window
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.pixels.tiff.source import TiffReader
from samzoo.runtime.pixels.zarr_source import ZarrReader, is_zarr

from .origin import is_ours

OURS = "these are labels or an overlay that samzoo wrote, not the image itself"


def open_reader(spec: SourceSpec, *, as_labels: bool = False) -> Reader:
    """Open one plane of an image file.

    Args:
        spec: The file, and the choice of level, series, channel and plane. Each choice is used or
            refused.
        as_labels: The file holds labels: a palette's indices and the numbers of a "white is zero"
            file are read as they are stored.

    Returns:
        A reader of ``(height, width)`` grey, or ``(height, width, 3)`` RGB.

    Raises:
        NotFoundError: There is no such file.
        ImageError: The file is damaged, of a kind that samzoo does not read, says something of its
            pixels that samzoo does not honour, or a choice is missing.
        InputError: The file has no such level, series, channel or plane.
        MissingDependencyError: Reading it needs the extra ``large``.
        StorageError: It cannot be read.
    """
    reader = _stored(spec, as_labels=as_labels)
    if spec.channel is not None and len(reader.channels) <= 1:
        names = COLOURS if len(reader.shape) == 3 else reader.channels or ("",)
        number = channel_number(spec.channel, names, spec.path)
        if len(reader.shape) == 3:
            reader = ColourReader(reader, number)
    return reader if reader.orientation == UPRIGHT else TurnedReader(reader)


def read_plane(
    spec: SourceSpec,
    *,
    as_labels: bool = False,
    notes: list[str] | None = None,
    window: Window | None = None,
) -> Array:
    """Read one plane of an image file as a whole, or a window of it.

    Args:
        spec: As in ``open_reader``.
        as_labels: As in ``open_reader``.
        notes: Gets sentences for the user about what was read.
        window: What to read; None for all.

    Returns:
        ``(height, width)``, or ``(height, width, 3)`` RGB, of any dtype.

    Raises:
        SamzooError: As ``open_reader``; or the image has too many pixels.
    """
    with closing(open_reader(spec, as_labels=as_labels)) as reader:
        window = window or (0, 0, reader.shape[0], reader.shape[1])
        check_budget(spec.path, window[2] - window[0], window[3] - window[1])
        if notes is not None:
            notes += reader.notes
        return reader(window)


def stack_shape(spec: SourceSpec) -> tuple[int, ...]:
    """Return the length of each axis that counts planes (slices, time points), height and width.

    Raises:
        SamzooError: As ``open_reader``; a missing choice of the plane is none.
    """
    reader = open_reader(dataclasses.replace(spec, plane=0))
    reader.close()
    return reader.stack_shape


def _stored(spec: SourceSpec, *, as_labels: bool) -> Reader:
    path = Path(spec.path)
    if not path.exists():
        raise NotFoundError(f"{path}: no such file")
    if path.is_dir() and is_zarr(path):
        return ZarrReader(spec)
    kind = kind_of(path)  # raises an error for a folder
    reader: Reader
    if kind == "TIFF":
        reader = TiffReader(spec, as_labels=as_labels)
    else:
        reader = picture_reader(spec, kind, as_labels=as_labels)
    ours = [OURS] if not as_labels and is_ours(path) else []
    reader.notes = [*misnamed(path, kind), *reader.notes, *ours]
    return reader
