"""Checks of the outputs for an image, before any work is done: labels, overlay, table.

In: paths. Out: nothing, or an error that says what to change.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import check_output

from .reading import LABEL_SUFFIXES

OVERLAY_SUFFIX = ".png"
TABLE_SUFFIX = ".csv"


def check_labels_output(path: Path, image: Path, *, force: bool) -> None:
    """Refuse a path that labels cannot be written to.

    Args:
        path: Where the labels of one image will be.
        image: The image.
        force: Allow replacing an existing file.

    Raises:
        InputError: The suffix is not one of ``LABEL_SUFFIXES``.
        OutputExistsError: The file exists and ``force`` is false, or it is the image.
    """
    if path.suffix.lower() not in LABEL_SUFFIXES:
        raise InputError(f"{path}: labels are written as {', '.join(LABEL_SUFFIXES)}")
    check_output(path, force=force, inputs=[image])


def check_overlay_output(path: Path, image: Path, labels: Path, *, force: bool) -> None:
    """Refuse a path that the overlay cannot be written to.

    Args:
        path: Where the overlay will be.
        image: The image.
        labels: Where the labels will be.
        force: Allow replacing an existing file.

    Raises:
        InputError: The path is not a PNG, or is the output for the labels.
        OutputExistsError: The file exists and ``force`` is false, or it is the image.
    """
    _check_beside(path, "overlay", OVERLAY_SUFFIX, image, labels, force=force)


def check_table_output(path: Path, image: Path, labels: Path, *, force: bool) -> None:
    """Refuse a path that the table cannot be written to.

    Args:
        path: Where the table will be.
        image: The image.
        labels: Where the labels will be.
        force: Allow replacing an existing file.

    Raises:
        InputError: The path is not a CSV file, or is the output for the labels.
        OutputExistsError: The file exists and ``force`` is false, or it is the image.
    """
    _check_beside(path, "table", TABLE_SUFFIX, image, labels, force=force)


def _check_beside(
    path: Path, name: str, suffix: str, image: Path, labels: Path, *, force: bool
) -> None:
    if path.suffix.lower() != suffix:
        raise InputError(f"{path}: {name}s are written as {suffix}; choose a name with this suffix")
    check_output(path, force=force, inputs=[image])
    if path.resolve() == labels.resolve():
        raise InputError(f"{path}: is the output for the labels too; choose another name")
