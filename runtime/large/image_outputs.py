"""What is written of a segmented image beside its labels: overlay, table and outlines.

In: a task, the image and its labels. Out: the files that the task asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.label_table import LabelTable, intensity_names
from samzoo.runtime.images.label_tags import PixelSizes, micrometres
from samzoo.runtime.images.overlay import write_overlay
from samzoo.runtime.images.overlay_marks import Marks
from samzoo.runtime.labels.files import read_labels
from samzoo.runtime.outlines.geojson import ONLY
from samzoo.runtime.outlines.rings import trace
from samzoo.runtime.outlines.writing import check_roi_size, outline_path, write_outlines
from samzoo.runtime.windows.opening import open_source
from samzoo.runtime.windows.pixel_size import pixel_sizes

from .file_task import FileTask


def check_image_outputs(task: FileTask, image: Array) -> None:
    """Refuse what cannot be written of an image, before it is segmented.

    Raises:
        InputError: The image is too large for ROIs of ImageJ.
    """
    if "imagej" in task.outlines:
        check_roi_size(image.shape[:2], str(task.path))


def write_image_outputs(
    task: FileTask,
    image: Array,
    labels: Labels2D,
    facts: Mapping[str, Any],
    *,
    sizes: PixelSizes,
    objects: int,
) -> None:
    """Write what a task asks for beside the labels.

    Args:
        task: The task; its paths have been checked.
        image: ``(height, width)`` or ``(height, width, 3)``.
        labels: ``(height, width)``.
        facts: The scale that was used, as ``ObjectScale.facts``.
        sizes: Sizes of the image's pixels by axis.
        objects: Number of objects in the labels.

    Raises:
        StorageError: The disk is full or a folder cannot be written.
    """
    if task.overlay is not None:
        marks = Marks(objects=objects, micrometres=micrometres(sizes).get("x"))
        filled = task.overlay_style != "outlines"
        write_overlay(task.overlay, image, labels, filled=filled, marks=marks)
    if task.table is None and not task.outlines:
        return
    table = LabelTable(
        labels.shape, facts={"image": task.path.name, **facts},
        channels=intensity_names(1 if image.ndim == 2 else image.shape[2]),
        sizes=sizes,
    )  # fmt: skip
    table.add(labels, image)
    if task.table is not None:
        table.write(task.table)
    if not task.outlines:
        return
    traced = [(ONLY, trace(labels))]
    measured = {(ONLY, label): known for label, known in table.measurements().items()}
    for form in task.outlines:
        write_outlines(
            outline_path(task.output, form), form, traced, image=task.path.name, measured=measured
        )


def write_outputs_again(task: FileTask, labels: Path, facts: Mapping[str, Any]) -> None:
    """Write what a task asks for beside labels that are there, as segmenting the image writes it.

    Args:
        task: A task that is not done in pieces; its output only names the outlines.
        labels: The label file.
        facts: As for ``write_image_outputs``.

    Raises:
        SamzooError: The image or the labels cannot be read, or a file cannot be written.
    """
    with closing(open_source(task.source)) as source:
        image = source.whole()
    check_image_outputs(task, image)
    found = read_labels(labels)
    write_image_outputs(
        task, image, found, facts,
        sizes=pixel_sizes(task.source), objects=count_objects(found),
    )  # fmt: skip


def count_objects(labels: Labels2D) -> int:
    """Return the number of objects in labels."""
    return int(np.count_nonzero(np.unique(labels)))
