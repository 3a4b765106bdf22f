"""Whether ``-o OUT`` of ``samzoo segment`` names a folder of results, or the labels of one image.

In: the words of the command line. Out: which of the two, or an error.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from samzoo.runtime.batch.inputs import find_inputs, is_pattern, is_zarr_image
from samzoo.runtime.batch.tables import OBJECTS
from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.images.output_checks import TABLE_SUFFIX
from samzoo.runtime.images.reading import LABEL_SUFFIXES
from samzoo.runtime.pixels.kinds import SUFFIXES


def is_folder_output(output: str, images: Sequence[str]) -> bool:
    """Decide whether an output is a folder of results.

    It is one if it exists as a folder, ends with a slash, or has no suffix. A Zarr, and a path in
    one, holds the labels of one image.

    Args:
        output: Value of ``-o``.
        images: The names of images as given.

    Raises:
        InputError: The output names one file, and there may be several images; or its suffix is
            that of no label file.
    """
    path = Path(output)
    if any(part.endswith(".zarr") for part in path.parts):
        _refuse_several(path, images)
        return False
    if path.is_dir() or output.endswith(tuple({"/", os.sep})) or not path.suffix:
        return True
    several = len(images) > 1 or _is_folder(images[0])
    if path.suffix.lower() in SUFFIXES:
        _refuse_several(path, images)
    elif not several:
        raise InputError(
            f"{path}: labels are written as {', '.join(LABEL_SUFFIXES)}; if this is to be a folder "
            f"of results, write {output}{os.sep}"
        )
    return path.suffix.lower() not in SUFFIXES


def single_image(name: str) -> Path:
    """Return the one image that a name stands for, if the output is one file.

    Raises:
        NotFoundError: A pattern matches no file.
        InputError: It matches several.
    """
    if not is_pattern(name):
        return Path(name)
    found = find_inputs([name]).images
    if not found:
        raise NotFoundError(f"{name}: no file matches")
    if len(found) > 1:
        raise InputError(f"{name}: {len(found)} images need a folder as output, not one file")
    return found[0]


def overlay_folder(given: str | None, output: Path) -> Path | None:
    """Return where the overlays of many images go.

    Args:
        given: Value of ``--overlay``; empty for the usual place, None for no overlays.
        output: The folder of results.

    Raises:
        InputError: It is the name of a file, or a folder with images.
    """
    if not given:
        return None if given is None else output / "overlays"
    path = Path(given)
    usual = f"give --overlay without a name, after the images: overlays go to {output / 'overlays'}"
    if path.suffix.lower() in SUFFIXES or path.is_file():
        raise InputError(f"{path}: is one file, and {output} is a folder of results; {usual}")
    if path.is_dir() and find_inputs([given]).images:
        raise InputError(f"{path}: holds images, and --overlay names where pictures go; {usual}")
    return path


def table_file(given: str | None, output: Path) -> Path | None:
    """Return where the table of all objects goes.

    Args:
        given: Value of ``--table``; empty for the usual place, None for no table.
        output: The folder of results.

    Raises:
        InputError: The name does not end in .csv.
    """
    if not given:
        return None if given is None else output / OBJECTS
    if Path(given).suffix.lower() != TABLE_SUFFIX:
        raise InputError(
            f"{given}: tables are written as {TABLE_SUFFIX}; give --table without a name, after "
            f"the images, for {output / OBJECTS}"
        )
    return Path(given)


def _refuse_several(output: Path, images: Sequence[str]) -> None:
    if len(images) > 1 or _is_folder(images[0]):
        what = f"{len(images)} images" if len(images) > 1 else "a folder of images"
        verb = "need" if len(images) > 1 else "needs"
        raise InputError(f"{output}: {what} {verb} a folder as output, not one file")


def _is_folder(name: str) -> bool:
    path = Path(name)
    return path.is_dir() and not is_zarr_image(path)
