"""The model that runs if none is named: the one that ships with samzoo, or the user's own choice.

In: a reference out of ``samzoo use``. Out: a text file in the folder of the user's settings. Only
the command line obeys it; ``samzoo.zoo.load()`` opens the shipped model, so that a script does
the same for everybody.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from samzoo.runtime.errors import FormatError, StorageError, shown
from samzoo.runtime.formats.outputs import write_bytes

DEFAULT_MODEL = "nuclei-vit-t"
"""The model that runs if none is named; it ships with samzoo, so it works offline."""

MAX_BYTES = 4096
"""Longest reference, as the longest path of Linux."""


def settings_file() -> Path:
    """Return the file with the user's default model, which need not exist.

    It lies in ``samzoo`` in ``XDG_CONFIG_HOME``, else where the system keeps settings:
    ``~/.config``, on macOS ``~/Library/Application Support``, on Windows ``%APPDATA%``.

    Raises:
        StorageError: There is no home folder.
    """
    given = os.environ.get("XDG_CONFIG_HOME")
    if given:
        folder = Path(given)
    elif sys.platform == "win32" and os.environ.get("APPDATA"):
        folder = Path(os.environ["APPDATA"])
    elif sys.platform == "darwin":
        folder = _home() / "Library/Application Support"
    else:
        folder = _home() / ".config"
    return folder / "samzoo" / "default-model"


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError as error:  # HOME is not set, and the system does not know the user
        raise StorageError(
            "there is no home folder for the default model; set XDG_CONFIG_HOME to a folder, or "
            "name a model with --model"
        ) from error


def chosen_model() -> str | None:
    """Return the reference that the user chose; None without a choice, or without a home folder.

    Raises:
        FormatError: The file holds something else.
        StorageError: The file cannot be read.
    """
    try:
        path = settings_file()
    except StorageError:
        return None  # nobody can have chosen
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    text = data.decode(errors="replace").strip()
    if not text.isprintable() or not text or len(data) > MAX_BYTES:
        raise FormatError(
            f"{path}: expected one line with a model, found {shown(text, limit=40)}; choose one "
            "with samzoo use MODEL"
        )
    return text


def default_model() -> str:
    """Return the reference of the model that runs if none is named.

    Raises:
        SamzooError: As for ``chosen_model``.
    """
    return chosen_model() or DEFAULT_MODEL


def choose_model(reference: str) -> None:
    """Make a model the one that runs if none is named.

    Args:
        reference: What ``--model`` takes; the shipped default's name deletes the choice, so that a
            later samzoo's default is used, too. A folder is stored with its whole path.

    Raises:
        StorageError: There is no home folder, or the file cannot be written or deleted.
    """
    path = settings_file()
    if reference != DEFAULT_MODEL:
        write_bytes(path, f"{reference}\n".encode())
        return
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be deleted ({error.strerror or error})") from error
