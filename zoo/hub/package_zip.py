"""A samzoo package in one zip file, as it is attached to samzoo's BioImage.IO zips.

In: the zip, from a stranger. Out: the package's folder, every file checked against the manifest.
``zoo/targets/bioimageio/attachment.py`` writes such zips.
"""

from __future__ import annotations

from pathlib import Path

from samzoo.runtime.budgets import MAX_JSON_BYTES
from samzoo.runtime.engine.graph_contract import check_graphs
from samzoo.runtime.errors import FormatError
from samzoo.runtime.formats.manifest import MANIFEST_FILE, Manifest
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.zoo.downloads.downloadable import check_downloadable

from .bioimageio_zip import copy_out, open_package


def unpack_package(archive: Path, output: Path, *, where: str) -> Manifest:
    """Unpack a package.

    Args:
        archive: The zip.
        output: The folder to write; the manifest is written last, so that a folder that has it is
            complete.
        where: The start of every message.

    Returns:
        The package's manifest.

    Raises:
        FormatError: The zip is damaged or unsafe, is no package, a file differs from the manifest,
            or a graph breaks its contract.
        StorageError: A file cannot be read or written.
    """
    with open_package(archive) as package:
        entry = package.entries.get(MANIFEST_FILE)
        if entry is None:
            raise FormatError(f"{where}: not a samzoo package, it has no {MANIFEST_FILE}")
        if entry.file_size > MAX_JSON_BYTES:
            raise FormatError(
                f"{where}: {MANIFEST_FILE}: {entry.file_size} bytes, allowed are {MAX_JSON_BYTES}"
            )
        data = package.archive.read(entry)
        read = output.with_name(f"{output.name}.manifest")
        write_bytes(read / MANIFEST_FILE, data)
        manifest = Manifest.read(read)
        check_downloadable(manifest, where=where)
        for file in manifest.files:
            copy_out(package, output / file.path, file, where=where)
        check_graphs(output, manifest)
        write_bytes(output / MANIFEST_FILE, data)
    return manifest
