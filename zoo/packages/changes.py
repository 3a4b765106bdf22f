"""The card of an existing package, read, and written anew with a changed manifest.

In: a package folder, and a new manifest, for example with scores measured after the export. Out:
the card's text; or the folder with its new manifest and card, and all other files as they were.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from samzoo.runtime.budgets import MAX_CARD_BYTES
from samzoo.runtime.errors import FormatError, StorageError
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import CARD_FILE, FileEntry, Manifest, read_entry
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.cards.card import render_card


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


def update_package(folder: Path, manifest: Manifest) -> Manifest:
    """Replace a package's manifest and card; all other files must match the manifest.

    Args:
        folder: The package.
        manifest: The new manifest.

    Returns:
        The manifest as written.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file differs from the manifest.
        StorageError: The folder cannot be written.
    """
    others = [entry for entry in manifest.files if entry.path != CARD_FILE]
    for entry in others:
        read_entry(folder, entry)  # a card must not vouch for what was changed
    path = folder / CARD_FILE
    write_bytes(path, render_card(manifest).encode())
    card = FileEntry(path=CARD_FILE, size=path.stat().st_size, sha256=sha256_of(path))
    files = tuple(sorted([*others, card], key=lambda entry: entry.path))
    updated = dataclasses.replace(manifest, files=files)
    updated.write(folder)
    return updated
