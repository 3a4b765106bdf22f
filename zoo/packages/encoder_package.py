"""The search for the package whose encoder a package of adapters alone needs.

In: a package. Out: the folder of the one with its encoder, told by that file's sha256, so that one
copy serves every model over it. The hubs lie above this room: who can pull passes it in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from samzoo.runtime.errors import SamzooError, WrongBaseError, shown
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest
from samzoo.zoo.downloads import cache

from .shelf import shipped_folders


def find_encoder(folder: Path) -> Path | None:
    """Find the package with a package's encoder: beside it, shipped with samzoo, or in the cache.

    Args:
        folder: A package.

    Returns:
        The folder of the other package; None where it is not here, or where the package has an
        encoder of its own.

    Raises:
        SamzooError: The package's manifest cannot be read.
    """
    source = Manifest.read(folder).encoder_from
    if source is None:
        return None
    for candidate in _candidates(folder, source.name):
        try:
            if source.is_in(Manifest.read(candidate)):
                return candidate
        except SamzooError:
            continue  # whatever is wrong with another package is not this one's problem
    return None


def bring_encoder(folder: Path, *, pull: Callable[[str], Path]) -> Path | None:
    """Find the package with a package's encoder, or pull it.

    Args:
        folder: A package.
        pull: Downloads the package of a reference into the cache and returns its folder;
            ``samzoo.zoo.hub.references.pull``.

    Returns:
        As ``find_encoder``, but never None where one is needed.

    Raises:
        WrongBaseError: What the reference leads to has another encoder.
        SamzooError: As a pull.
    """
    source = Manifest.read(folder).encoder_from
    if source is None:
        return None
    if (found := find_encoder(folder)) is not None:
        return found
    base = pull(source.reference)
    if not source.is_in(Manifest.read(base)):
        raise WrongBaseError(
            f"{folder}: encoder_from: {shown(source.reference)} has another encoder than the one "
            f"these adapters need (sha256 {source.sha256[:20]}...); ask whoever published them"
        )
    return base


def dependents(folder: Path) -> list[str]:
    """Name the packages in the cache that find their encoder in a package of the cache."""
    names = []
    for package in cache.cached():
        try:
            needed = find_encoder(package.folder)
        except SamzooError:
            continue
        if needed is not None and needed.resolve() == folder.resolve():
            names.append(next(iter(package.references), package.key))
    return names


def _candidates(folder: Path, name: str) -> Iterator[Path]:
    beside = folder.resolve().parent / name
    if (beside / MANIFEST_FILE).is_file():
        yield beside
    yield from shipped_folders()
    for package in cache.cached():
        yield package.folder
