"""Changes to the manifest and card of an existing package.

In: a package folder and a new manifest, for example with scores measured after the export. Out: the
folder with its new manifest and card. All other files stay as they are.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import CARD_FILE, FileEntry, Manifest, read_entry
from samzoo.runtime.formats.outputs import write_bytes

from .card import render_card


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
