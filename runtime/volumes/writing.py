"""The labels of a stack, written as a TIFF with named axes or as OME-Zarr.

In: labels in memory. Out: a file or a group, complete or not at all.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from samzoo.runtime.formats.arrays import Labels3D
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.images.origin import LABELS_SOFTWARE, RECORD, LabelFacts
from samzoo.runtime.images.reading import TIFF_SUFFIXES, label_dtype
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.label_zarr import StackLabels, write_label_zarr


def stack_axes(count: int, *, frames: bool) -> str:
    """Name the axes of a stack before height and width; more than two have no names of their own.

    >>> stack_axes(1, frames=False), stack_axes(2, frames=True), stack_axes(3, frames=True)
    ('z', 'tz', 'qqq')
    """
    return {1: "t" if frames else "z", 2: "tz"}.get(count, "q" * count)


def write_stack(
    output: Path,
    labels: Labels3D,
    spec: SourceSpec,
    *,
    frames: bool = False,
    force: bool,
    facts: LabelFacts = None,
) -> None:
    """Write labels, uint16 up to label 65535 and int32 above.

    Args:
        output: A path that ``check_large_output`` allows.
        labels: ``(..., height, width)``.
        spec: The image file.
        frames: A single axis before height and width counts time, not slices.
        force: Replace existing labels.
        facts: How the labels were made, for the file's record.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    values = labels.astype(label_dtype(int(labels.max(initial=0))), copy=False)
    names = stack_axes(values.ndim - 2, frames=frames)
    if output.suffix.lower() not in TIFF_SUFFIXES:
        write_label_zarr(output, StackLabels(values, names), spec, force=force, facts=facts)
        return
    record = {RECORD: dict(facts)} if facts else {}
    with replacing(output) as temporary:
        tifffile.imwrite(
            temporary, values, compression="zlib", photometric="minisblack",
            metadata={"axes": f"{names.upper()}YX", **record}, bigtiff=values.nbytes > 2**31,
            software=LABELS_SOFTWARE,
        )  # fmt: skip
