"""The work folder of a large image: all finished pieces, one file for each.

In and out: arrays by the step and the number of their piece. A piece exists when its file has its
name, so that a run continues where another was interrupted. The folder lies beside the output as
``OUTPUT.partial``, and is deleted when the output is complete.
"""

from __future__ import annotations

import io
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, InputError, WriteError, shown
from samzoo.runtime.formats.files import read_json, write_json
from samzoo.runtime.formats.outputs import write_bytes

STATE_FILE = "state.json"

_PIECE = re.compile(r"\d{6}\.npz")

Arrays = dict[str, NDArray[Any]]


class WorkFolder:
    """Pieces on disk.

    Args:
        folder: The folder, which all processes that work on the image share.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def state(self) -> dict[str, Any] | None:
        """Return the state with which the folder was begun; None if there is no folder.

        Raises:
            FormatError: The file is damaged.
        """
        path = self.folder / STATE_FILE
        return read_json(path) if path.is_file() else None

    def start(self, state: dict[str, Any], *, force: bool = False) -> bool:
        """Make the folder, or continue in it.

        Args:
            state: Everything that the pieces depend on.
            force: Delete a folder of other work.

        Returns:
            Whether the work continues in an existing folder.

        Raises:
            InputError: The folder belongs to other work (another image, model, or other
                parameters), and ``force`` is false.
            StorageError: The folder cannot be written.
        """
        found = self.state()
        if found is not None:
            different = [key for key in state if found.get(key) != state[key]]
            if different and force:
                self.remove()
            elif different:
                key = different[0]
                raise InputError(
                    f"{self.folder}: was begun with other input: {key}: found "
                    f"{shown(str(found.get(key)))}, now {shown(str(state.get(key)))}; run the "
                    "earlier command to continue that work, or pass --force to start again"
                )
            if not different:
                return True
        if left := self._visible():
            if not all(_PIECE.fullmatch(path.name) for path in left):
                raise InputError(
                    f"{self.folder}: is in the way; remove it or choose another output"
                )
            self.remove()  # what a run left that was stopped while it cleaned up
        self._make(self.folder)
        write_json(self.folder / STATE_FILE, state)
        return False

    def _visible(self) -> list[Path]:
        """List all files but hidden ones, which a killed run left; the folder if it is a file."""
        if self.folder.is_symlink() or self.folder.is_file():
            return [self.folder]
        return [
            path
            for path in self.folder.rglob("*")
            if not path.name.startswith(".") and (path.is_symlink() or not path.is_dir())
        ]

    def _make(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WriteError(f"{folder}: cannot be made ({error.strerror or error})") from error

    def has(self, step: str, index: int) -> bool:
        """Tell whether a piece exists."""
        return self._path(step, index).is_file()

    def missing(self, step: str, count: int) -> list[int]:
        """List the pieces of a step that do not exist yet."""
        return [index for index in range(count) if not self.has(step, index)]

    def write(self, step: str, index: int, arrays: Arrays, *, compressed: bool = False) -> None:
        """Write a piece.

        Raises:
            StorageError: The disk is full or the folder cannot be written.
        """
        path = self._path(step, index)
        self._make(path.parent)
        buffer = io.BytesIO()
        save: Any = np.savez_compressed if compressed else np.savez
        save(buffer, **arrays)
        write_bytes(path, buffer.getvalue())

    def read(self, step: str, index: int) -> Arrays:
        """Read a piece.

        Raises:
            FormatError: The file is missing or damaged.
        """
        path = self._path(step, index)
        try:
            # Opened here, because np.load leaves a file open whose zip is damaged.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise FormatError(
                f"{path}: cannot be read ({error}); delete this file and run the command again"
            ) from error

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, step: str, index: int) -> Path:
        return self.folder / step / f"{index:06d}.npz"
