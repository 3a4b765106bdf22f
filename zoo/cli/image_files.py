"""The image files that a command line names, and a label file for each.

In: names of files and folders, and patterns. Out: paths of images and labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.formats.outputs import check_output
from samzoo.runtime.images.image_files import SUFFIXES
from samzoo.runtime.images.reading import LABEL_SUFFIXES, list_images
from samzoo.runtime.windows.zarr_source import is_zarr


def expanded(given: Sequence[str]) -> list[Path]:
    """List the given files, those in given folders, and those that match a pattern.

    Raises:
        NotFoundError: No file matches a pattern.
        InputError: A folder holds no image.
    """
    found: list[Path] = []
    for name in given:
        path = Path(name)
        if is_zarr(path) or path.is_file():
            found.append(path)
        elif path.is_dir() and path.suffix.lower() not in SUFFIXES:
            found += list_images(path)
        elif any(sign in name for sign in "*?["):
            matches = sorted(Path(path.anchor or ".").glob(str(path.relative_to(path.anchor))))
            if not matches:
                raise NotFoundError(f"{name}: no file matches")
            found += matches
        else:
            found.append(path)  # if it is missing, reading it raises the error
    return found


def label_paths(
    images: Sequence[Path], given: Sequence[str], output: Path, *, force: bool
) -> list[Path]:
    """Name the label file of each image: ``output`` itself, or one in it for several images.

    Args:
        images: The image files.
        given: The names on the command line; for a single file, ``output`` is its label file.
        output: A file or a folder.
        force: Allow to replace existing files.

    Raises:
        InputError: ``output`` is a file for several images, or two images share a name.
        OutputExistsError: A file exists and ``force`` is false, or it is one of the images.
    """
    if len(images) == 1 and images == [Path(name) for name in given]:
        return [output]
    if output.suffix in LABEL_SUFFIXES:
        raise InputError(f"{output}: {len(images)} images need a folder as output, not one file")
    outputs = [output / f"{image.stem}.tif" for image in images]
    twice = {path for path in outputs if outputs.count(path) > 1}
    if twice:
        raise InputError(f"{sorted(twice)[0]}: two images would write it; rename one")
    for path in outputs:
        check_output(path, force=force, inputs=images)
    return outputs
