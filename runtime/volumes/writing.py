"""The labels of a stack, written as a TIFF with named axes or as OME-Zarr.

In: labels in memory. Out: a file or a group, complete or not at all.
"""

from __future__ import annotations

from pathlib import Path

import tifffile

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Labels3D
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.images.label_tags import OME_ENDINGS, tags_of_labels
from samzoo.runtime.images.origin import LABELS_SOFTWARE, RECORD, LabelFacts
from samzoo.runtime.images.reading import TIFF_SUFFIXES, label_dtype
from samzoo.runtime.pixels.source_spec import SourceSpec
from samzoo.runtime.windows.label_zarr import StackLabels, write_label_zarr
from samzoo.runtime.windows.pixel_size import pixel_sizes


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
    is_ome = output.name.lower().endswith(OME_ENDINGS)
    if "q" in names and is_ome:
        raise InputError(f"{output}: a stack with a third axis is no OME-TIFF; name it .tif")
    lengths = values.shape[:-2]
    if is_ome or ("q" not in names and min(lengths) > 1):
        tags = tags_of_labels(
            output, largest=int(labels.max(initial=0)), axes=names, lengths=lengths,
            sizes=pixel_sizes(spec), facts=facts,
        )  # fmt: skip
    else:  # ImageJ has no name for a third axis, and no axis of one plane
        record = {RECORD: dict(facts)} if facts else {}
        tags = {
            "compression": "zlib", "photometric": "minisblack", "software": LABELS_SOFTWARE,
            "metadata": {"axes": f"{names.upper()}YX", **record},
        }  # fmt: skip
    with replacing(output) as temporary:
        tifffile.imwrite(temporary, values, bigtiff=values.nbytes > 2**31, **tags)
