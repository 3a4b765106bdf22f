"""Checks of what kind of folder a path is, so that verbs refuse the wrong kind with advice.

In: a path. Out: nothing, or an error that names the right verb.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.errors import InputError, NotFoundError
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, is_adapter
from samzoo.runtime.formats.files import read_json
from samzoo.runtime.formats.folders import CONFIG_FILE


def is_base(folder: Path) -> bool:
    """Return whether a folder holds a base or a model of samzoo."""
    path = folder / CONFIG_FILE
    return path.is_file() and "format" in read_json(path)


def refuse_adapter(path: Path) -> None:
    """Refuse an adapter where a checkpoint is expected.

    Raises:
        InputError: The path is an adapter of samzoo or of peft.
    """
    if not is_adapter(path):
        return
    if _is_ours(path):
        raise InputError(
            f"{path}: is an adapter; write it for another tool with samzoo adapter write, or merge "
            "it (samzoo merge) and export the model"
        )
    raise InputError(
        f"{path}: is an adapter, not a checkpoint; read it with: samzoo adapter read {path} "
        "--base BASE -o ADAPTER"
    )


def require_adapter(path: Path) -> None:
    """Refuse anything other than an adapter of samzoo.

    Raises:
        NotFoundError: The path does not exist.
        InputError: The path is something else.
    """
    if not path.exists():
        raise NotFoundError(f"{path}: no such file or folder")
    if not is_adapter(path) or not _is_ours(path):
        raise InputError(
            f"{path}: is not an adapter folder of samzoo; samzoo adapter read converts an adapter "
            "of another tool"
        )


def _is_ours(path: Path) -> bool:
    return "peft_type" not in read_json(path / ADAPTER_CONFIG_FILE)
