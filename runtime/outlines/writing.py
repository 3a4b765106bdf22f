"""Files of outlines: their names beside the labels, their checks, and how they are written.

In: outlines of an image, or of the planes of a stack. Out: a file, complete or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output, replacing
from samzoo.runtime.images.overlay import PALETTE

from .geojson import ONLY, Plane, feature
from .rings import Outline
from .roi_zip import LARGEST, Position, Roi, zipped_rois

OutlineFormat = Literal["imagej", "geojson"]

ENDINGS: dict[OutlineFormat, str] = {"imagej": "_rois.zip", "geojson": ".geojson"}
"""What the name of the labels without its suffix gets, by format."""

Traced = Iterable[tuple[Plane, Iterable[Outline]]]
"""The outlines of each plane; an image has one, ``ONLY``."""

Measured = Mapping[tuple[Plane, int], Mapping[str, float]]
"""What is known of an object, by plane and label."""


def outline_path(labels: Path, form: OutlineFormat) -> Path:
    """Return where the outlines go, beside the labels.

    >>> outline_path(Path("out/labels.tif"), "imagej").as_posix()
    'out/labels_rois.zip'
    >>> outline_path(Path("labels.ome.tif"), "geojson").as_posix()
    'labels.geojson'
    >>> outline_path(Path("image.zarr/labels/nuclei"), "geojson").as_posix()
    'image_nuclei.geojson'
    """
    inside = [each for each in labels.parents if each.suffix == ".zarr"]
    if inside:
        return inside[-1].with_name(f"{inside[-1].stem}_{labels.name}{ENDINGS[form]}")
    stem = labels.stem
    if stem.lower().endswith(".ome"):
        stem = stem[: -len(".ome")]
    return labels.with_name(stem + ENDINGS[form])


def check_outlines(
    labels: Path, forms: Sequence[OutlineFormat], image: Path, *, force: bool
) -> None:
    """Refuse outlines that cannot be written, before any work is done.

    Args:
        labels: Where the labels will be.
        forms: The formats of the outlines.
        image: The image.
        force: Allow replacing existing files.

    Raises:
        InputError: A format is unknown.
        OutputExistsError: A file exists and ``force`` is false, or it is the image.
    """
    for form in forms:
        if form not in ENDINGS:
            raise InputError(f"--outlines: found {form!r}, allowed are {', '.join(ENDINGS)}")
        check_output(outline_path(labels, form), force=force, inputs=[image])


def check_roi_size(size: Sequence[int], where: str) -> None:
    """Refuse an image whose coordinates ImageJ's ROIs cannot hold.

    Args:
        size: (..., height, width) in pixels.
        where: Names the image in the message.

    Raises:
        InputError: A side is longer than ``LARGEST``.
    """
    if max(size[-2:]) > LARGEST:
        raise InputError(
            f"{where}: --outlines imagej: the image has {size[-1]} x {size[-2]} pixels, and ROIs "
            f"of ImageJ count to {LARGEST}; write --outlines geojson"
        )


def write_outlines(
    path: Path, form: OutlineFormat, traced: Traced, *, image: str, measured: Measured
) -> None:
    """Write a file of outlines.

    Args:
        path: Where.
        form: The format.
        traced: The outlines; of each plane they are ordered by label.
        image: Name of the image.
        measured: What is known of each object; only GeoJSON keeps it.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary:
        if form == "imagej":
            temporary.write_bytes(zipped_rois(
                _roi(outline, plane) for plane, outlines in traced for outline in outlines
            ))  # fmt: skip
            return
        with temporary.open("w", encoding="utf-8") as file:
            file.write('{"type": "FeatureCollection", "features": [')
            separator = "\n"
            for plane, outlines in traced:
                for outline in outlines:
                    known = measured.get((plane, outline.label), {})
                    found = feature(outline, image=image, plane=plane, measurements=known)
                    file.write(separator + json.dumps(found))
                    separator = ",\n"
            file.write("\n]}\n")


def _roi(outline: Outline, plane: Plane) -> Roi:
    name, position = f"{outline.label:04d}", Position()
    if plane.slice is not None:
        name += f"-z{plane.slice + 1}"
        position = Position(image=plane.slice + 1)
    if plane.frame is not None:
        name += f"-t{plane.frame + 1}"
        position = Position(image=plane.frame + 1)
    if plane.slice is not None and plane.frame is not None:
        position = Position(slice=plane.slice + 1, frame=plane.frame + 1)
    red, green, blue = PALETTE[outline.label % len(PALETTE)].tolist()
    return Roi(name=name, outline=outline, colour=(red, green, blue), position=position)


def planes_of(axes: str, lengths: Sequence[int]) -> list[Plane]:
    """Name the planes of a stack in the order in which they lie in memory.

    Args:
        axes: ``z``, ``t`` or ``tz``, the axes before rows and columns; empty for an image.
        lengths: Their lengths.

    >>> planes_of("tz", (1, 2))
    [Plane(slice=0, frame=0), Plane(slice=1, frame=0)]
    """
    found = [ONLY]
    for axis, length in zip(axes, lengths, strict=True):
        found = [
            Plane(slice=index, frame=each.frame) if axis == "z" else Plane(frame=index)
            for each in found
            for index in range(length)
        ]
    return found
