"""The folder of a package: its files and card, and last the manifest of all of them.

In: a manifest without files, and the files or functions that write them. Out: the package.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import CARD_FILE, FileEntry, Manifest
from samzoo.runtime.formats.outputs import write_bytes, write_folder
from samzoo.zoo.cards.card import TOOLS, render_card


class PackageFile(NamedTuple):
    """The content of a file to write, and its role in the manifest."""

    data: bytes
    role: str = ""
    adapter: str = ""


def write_package(
    output: Path,
    manifest: Manifest,
    content: Mapping[str, PackageFile],
    *,
    fill: Callable[[Path], Manifest | None] = lambda _: None,
    roles: Mapping[str, str] | None = None,
    force: bool,
) -> Manifest:
    """Write a package's files and card, and last the manifest of all of them.

    Args:
        output: The package folder.
        manifest: The manifest, still without files.
        content: Files to write, by relative path.
        fill: A function that writes further files into the folder; it may return the manifest
            with what it found out while it wrote them.
        roles: Roles of the files that ``fill`` writes, by relative path.
        force: Replace an existing ``output``.

    Returns:
        The manifest as written.

    Raises:
        OutputExistsError: ``output`` exists and ``force`` is false.
        StorageError: The disk is full or the folder cannot be written.
    """

    def write(folder: Path) -> None:
        for path, file in content.items():
            write_bytes(folder / path, file.data)
        final = without_local_paths(fill(folder) or manifest)
        write_bytes(folder / CARD_FILE, render_card(final).encode())
        known = {path: PackageFile(b"", role) for path, role in (roles or {}).items()}
        _with_files(final, folder, {**content, **known}).write(folder)

    write_folder(output, write, force=force)
    return Manifest.read(output)


def _with_files(manifest: Manifest, folder: Path, content: Mapping[str, PackageFile]) -> Manifest:
    paths = {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    entries = [
        FileEntry(
            path=name,
            size=path.stat().st_size,
            sha256=sha256_of(path),
            role=content[name].role if name in content else "",
            adapter=content[name].adapter if name in content else "",
        )
        for name, path in paths.items()
    ]
    return dataclasses.replace(manifest, files=tuple(entries))


LOCAL = re.compile(r"(?:/|~|\\\\|[A-Za-z]:[\\/])[^\n]*")
"""Texts that are paths on somebody's computer."""


def without_local_paths(manifest: Manifest) -> Manifest:
    """Return the manifest with names in place of local paths in what its models' sources say.

    A path such as ``/home/ada/patients/...`` says more than its owner wants to publish.
    """

    def named(model: ModelConfig) -> ModelConfig:
        return dataclasses.replace(model, source=_named(model.source))

    entries = [dataclasses.replace(each, model=named(each.model)) for each in manifest.adapters]
    return dataclasses.replace(manifest, model=named(manifest.model), adapters=tuple(entries))


def _named(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _named(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    if isinstance(value, str) and LOCAL.fullmatch(value):
        return re.split(r"[\\/]", value.rstrip("\\/"))[-1]
    return value


def with_measured(
    manifest: Manifest, measured: Mapping[str, Sequence[Mapping[str, Any]]]
) -> Manifest:
    """Return the manifest with what was measured, in place of an earlier export's."""
    metrics = {key: value for key, value in manifest.metrics.items() if key != TOOLS}
    if measured:
        metrics[TOOLS] = {name: list(rows) for name, rows in measured.items()}
    return dataclasses.replace(manifest, metrics=metrics)
