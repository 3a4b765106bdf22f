"""The card of an existing package, read, and written anew with a changed manifest.

In: a package folder, and a new manifest, for example with scores measured after the export. Out:
the card's text; or the folder with its new manifest and card, and all other files as they were.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.budgets import MAX_CARD_BYTES
from samzoo.runtime.errors import FormatError, StorageError
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import CARD_FILE, FileEntry, Manifest, read_entry
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.cards.card_pictures import COVER, OWN, named_pictures

OLD_COVERS = ("cover.png",)
"""Names of covers that were not made by ``samzoo card``."""


def read_card(folder: Path) -> str | None:
    """Read the card of a package, possibly from a stranger.

    Args:
        folder: The package.

    Returns:
        The text; bytes that are not UTF-8 are replaced. None if there is no card.

    Raises:
        FormatError: The card is a link, which could show any file of this computer, or too large.
        StorageError: It cannot be read.
    """
    path = folder / CARD_FILE
    if path.is_symlink():
        raise FormatError(f"{path}: is a link; packages hold plain files")
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CARD_BYTES + 1)
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    if len(data) > MAX_CARD_BYTES:
        raise FormatError(f"{path}: more than {MAX_CARD_BYTES} bytes, which is no model card")
    return data.decode("utf-8", errors="replace")


def update_package(
    folder: Path, manifest: Manifest, *, added: Mapping[str, bytes] | None = None
) -> Manifest:
    """Replace a package's manifest and card; all files that stay must match the manifest.

    The new manifest takes the old one's place in one step, after the new pictures, which have names
    of their own, and before the card, which is made of the manifest. So a package that was stopped
    on the way is as before, or as it will be when it is updated again: ``verify`` says so.

    Args:
        folder: The package.
        manifest: The new manifest; pictures that it names no more leave the package.
        added: New pictures by path, as from ``samzoo.zoo.cards.card_pictures``.

    Returns:
        The manifest as written.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file differs from the manifest.
        StorageError: The folder cannot be written.
    """
    added = dict(added or {})
    if (folder / "pictures").is_symlink():
        raise FormatError(f"{folder / 'pictures'}: is a link; packages hold plain files")
    dropped = {
        path
        for path in named_pictures(Manifest.read(folder)) - named_pictures(manifest)
        if OWN.fullmatch(path) or path in OLD_COVERS  # a stranger's cover may be any file
    }
    gone = {CARD_FILE, *added, *dropped}
    others = [entry for entry in manifest.files if entry.path not in gone]
    for entry in others:
        read_entry(folder, entry)  # a card must not vouch for what was changed
    for path, data in added.items():
        write_bytes(folder / path, data)
    card = render_card(manifest).encode()
    new = [_entry(path, data) for path, data in {**added, CARD_FILE: card}.items()]
    files = tuple(sorted([*others, *new], key=lambda entry: entry.path))
    updated = dataclasses.replace(manifest, files=files)
    updated.write(folder)
    write_bytes(folder / CARD_FILE, card)
    for path in {*dropped, *left_pictures(folder, updated)}:
        _delete(folder / path)
    return updated


def left_pictures(folder: Path, manifest: Manifest) -> list[str]:
    """Return pictures that lie in a package and are not listed, because samzoo was stopped.

    Among them is an older cover, if its follower is one of the names that samzoo gives.
    """
    listed = {entry.path for entry in manifest.files}
    found = [
        name
        for path in sorted(folder.glob("pictures/*.png"))
        if OWN.fullmatch(name := path.relative_to(folder).as_posix())
    ]
    if OWN.fullmatch(str(manifest.card.get(COVER, ""))):
        found += [name for name in OLD_COVERS if (folder / name).is_file()]
    return [name for name in found if name not in listed]


def card_is_current(folder: Path, manifest: Manifest) -> bool:
    """Tell whether a package's card is the one that its manifest lists."""
    entry = next((each for each in manifest.files if each.path == CARD_FILE), None)
    path = folder / CARD_FILE
    return entry is None or (path.is_file() and sha256_of(path) == entry.sha256)


def _entry(path: str, data: bytes) -> FileEntry:
    return FileEntry(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())


def _delete(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path}: cannot be deleted ({error.strerror or error})") from error
