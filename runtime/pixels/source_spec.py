"""The choice of one plane in an image file, in plain values.

In: a path and a user's choices. Out: a ``SourceSpec``, with which any process opens the plane.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import NotFoundError


@dataclass(frozen=True)
class SourceSpec:
    """The choice of a plane in a file, with which another process can open it again.

    None stands for no choice: then the file must leave none open.

    Attributes:
        path: A file, or an OME-Zarr folder.
        level: Level of a pyramid; 0 is full size.
        series: Number of the image in a file with several.
        channel: Number of the channel from 0, its name in the file, or ``red``, ``green``,
            ``blue``. Without a choice colours are read as RGB.
        plane: Index along the axes that count planes, flattened.
    """

    path: str
    level: int = 0
    series: int | None = None
    channel: int | str | None = None
    plane: int | None = None


def identity(path: str | Path) -> str:
    """Return a file's size and time of change, by which a later change shows.

    Raises:
        NotFoundError: The file does not exist.
    """
    path = Path(path)
    try:
        if path.is_dir():  # a Zarr's description stands for it: chunks may be many
            files = sorted(p for p in path.glob("*") if p.is_file())
            return ";".join(f"{p.name}:{_state(p)}" for p in files)
        return _state(path)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such file") from None


def _state(path: Path) -> str:
    status = os.stat(path)
    return f"{status.st_size}:{status.st_mtime_ns}"
