"""The packages that come with samzoo: the folders of ``samzoo.model_cards``.

In: nothing, or a name. Out: package folders. One of them may hold the encoder of the others, as
``encoder_package.py`` finds it.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest

INDEX_FILE = "index.json"
"""The index of models that can be pulled, beside the packages that ship."""


@dataclass(frozen=True)
class Listed:
    """A model that ships with samzoo.

    Attributes:
        name: The name to pass as ``--model``.
        folder: Its package.
        manifest: Its manifest.
    """

    name: str
    folder: Path
    manifest: Manifest


def shipped() -> list[Listed]:
    """List the packages that came with samzoo.

    Returns:
        Name, folder and manifest of each, sorted by name.

    Raises:
        FormatError: A manifest is damaged.
    """
    return [Listed(folder.name, folder, Manifest.read(folder)) for folder in shipped_folders()]


def shipped_folders() -> list[Path]:
    """Return the folders of the packages that came with samzoo, sorted by name."""
    return [_real_folder(path) for path in sorted(_root().glob(f"*/{MANIFEST_FILE}"))]


def find_shipped(name: str) -> Path | None:
    """Find the package of a name that came with samzoo; None if there is none.

    Args:
        name: A plain name, no path.
    """
    manifest = _root() / name / MANIFEST_FILE
    return _real_folder(manifest) if manifest.is_file() else None


def shipped_index() -> Path | None:
    """Return the index of samzoo's own models that do not ship, if this samzoo has one."""
    path = _root() / INDEX_FILE
    return path.resolve() if path.is_file() else None


def _root() -> Path:
    return Path(str(resources.files("samzoo.model_cards")))


def _real_folder(manifest: Path) -> Path:
    """Follow a development install's links to the folder, since packages hold plain files only."""
    return manifest.resolve().parent
