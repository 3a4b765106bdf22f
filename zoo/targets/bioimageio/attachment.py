"""samzoo's own package as one attached file, so that a zip leads back to the very same model.

In: the package that is being exported. Out: ``NAME.samzoo.zip`` with its graphs, test, card and
manifest; not its other targets or its weights, which the zip that it is attached to holds anyway.
``zoo/hub`` unpacks it. The spec puts all files of a package into one folder, so that files in
folders cannot be attached one by one.
"""

from __future__ import annotations

import dataclasses
import tempfile
import zipfile
from pathlib import Path

from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.folders import WEIGHTS_FILE
from samzoo.runtime.formats.manifest import CARD_FILE, MANIFEST_FILE, FileEntry, Manifest
from samzoo.zoo.cards.card import render_card
from samzoo.zoo.packages.self_test import TEST_FILE, TEST_ROLE

PACKAGE_ENDING = ".samzoo.zip"
"""End of the attachment's name, by which a pull finds it."""

GRAPHS, PICTURES = "onnx", "pictures"


def attach(folder: Path, package: Path, manifest: Manifest) -> Path:
    """Pack a package into one file.

    Args:
        folder: Where to write the file.
        package: The package's folder, with graphs and test, and still without card and manifest.
        manifest: Its manifest, still without files.

    Returns:
        The file. Equal packages give equal bytes.
    """
    path = folder / f"{manifest.name}{PACKAGE_ENDING}"
    files = {
        each.relative_to(package).as_posix(): each
        for each in sorted(package.rglob("*"))
        if each.is_file() and _belongs(each.relative_to(package))
    }
    with tempfile.TemporaryDirectory(prefix="samzoo-") as name:
        texts = Path(name)
        (texts / CARD_FILE).write_text(render_card(manifest), encoding="utf-8")
        files[CARD_FILE] = texts / CARD_FILE
        entries = tuple(_entry(name, file) for name, file in sorted(files.items()))
        dataclasses.replace(manifest, files=entries).write(texts)
        files[MANIFEST_FILE] = texts / MANIFEST_FILE
        with zipfile.ZipFile(path, "w") as archive:
            for name, file in files.items():
                info = zipfile.ZipInfo(name)  # without the file's time, so that bytes stay equal
                info.external_attr = 0o644 << 16
                with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as entry:
                    while block := source.read(2**20):
                        entry.write(block)
    return path


def _belongs(path: Path) -> bool:
    if path.as_posix() == TEST_FILE or path.parts[0] in (GRAPHS, PICTURES):
        return True
    return len(path.parts) == 1 and path.name not in (WEIGHTS_FILE, CARD_FILE, MANIFEST_FILE)


def _entry(name: str, file: Path) -> FileEntry:
    role = TEST_ROLE if name == TEST_FILE else ""
    if name.startswith(f"{GRAPHS}/"):
        role = file.stem
    return FileEntry(path=name, size=file.stat().st_size, sha256=sha256_of(file), role=role)
