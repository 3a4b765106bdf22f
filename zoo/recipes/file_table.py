"""The list of images that a model was made with: where each lies, its hash, part and group.

In: folders of images with a ``split.csv``. Out: ``files.csv``, which is also a list of images that
``samzoo train --images`` takes. It stands in for images that are not published with the model.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, shown
from samzoo.runtime.formats.digest import SHA256
from samzoo.runtime.formats.files import sha256_of
from samzoo.runtime.formats.manifest import FileEntry, check_relative
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.runtime.labels.tables import SPLIT_NAME, Row, read_table

COLUMNS = (
    "image", "label", "split", "group", "weight", "stratum", "classes", "image_bytes",
    "image_sha256", "label_bytes", "label_sha256", "source",
)  # fmt: skip
"""The columns, in their order. ``samzoo train`` reads the first seven."""

SOURCE_ID = "source_id"
"""The column of a ``split.csv`` with an image's name in its public source, where it has one."""


@dataclass(frozen=True)
class ListedImage:
    """An annotated image of the list.

    Attributes:
        row: Paths, part, group, weight, stratum and classes, as in any list of images.
        image: Path, size and sha256 of the image.
        label: Path, size and sha256 of its label image.
        source: What it was made of, in its set's public source; may be empty.
    """

    row: Row
    image: FileEntry
    label: FileEntry
    source: str

    @property
    def set_name(self) -> str:
        """The set that it belongs to: the first folder of its path."""
        return self.row.image.split("/")[0]


def read_file_table(path: Path) -> list[ListedImage]:
    """Read a list.

    Raises:
        NotFoundError: There is no such file.
        FormatError: A column is missing, a path is unsafe, or a size or hash is none.
    """
    table = read_table(path, needed=("image", "label", "split"))
    if missing := [name for name in COLUMNS if name not in table.cells[0]]:
        raise FormatError(f"{path}: has no column {missing[0]!r}; needed: {', '.join(COLUMNS)}")
    return [
        ListedImage(
            row,
            _entry(path, row.line, row.image, cells["image_bytes"], cells["image_sha256"]),
            _entry(path, row.line, row.label, cells["label_bytes"], cells["label_sha256"]),
            cells["source"],
        )
        for row, cells in zip(table.rows, table.cells, strict=True)
    ]


def _entry(table: Path, line: int, path: str, size: str, sha256: str) -> FileEntry:
    where = f"{table}, line {line}"
    check_relative(path, where=where)
    if "/" not in path:
        raise FormatError(f"{where}: found {shown(path)}, expected SET/FOLDER/FILE")
    if not size.isascii() or not size.isdecimal():
        raise FormatError(f"{where}: bytes: found {shown(size)}, expected a number")
    if not re.fullmatch(SHA256, sha256):
        raise FormatError(f"{where}: sha256: found {shown(sha256)}, expected 64 hex digits")
    return FileEntry(path=path, size=int(size), sha256=sha256)


def write_file_table(
    folders: Sequence[Path], output: Path, *, weights: Mapping[str, float], sources: Sequence[str]
) -> list[ListedImage]:
    """Write the list of some sets of images.

    Args:
        folders: A folder for each set, with ``images``, ``labels`` and ``split.csv``. Its name
            is the set's name, with which paths and groups begin, so that they differ between sets.
        output: The list to write.
        weights: Weights by set; 1 for those that are not there.
        sources: For each folder, the address of its public source.

    Returns:
        What was written.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A ``split.csv`` is damaged.
        StorageError: A file cannot be read or written.
    """
    listed = [
        image
        for folder, source in zip(folders, sources, strict=True)
        for image in _of_set(folder.resolve(), weights.get(folder.resolve().name, 1.0), source)
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for each in listed:
        row = each.row
        writer.writerow(
            (
                row.image, row.label, row.split, row.group, f"{row.weight:g}", row.stratum,
                row.classes, each.image.size, each.image.sha256, each.label.size,
                each.label.sha256, each.source,
            )
        )  # fmt: skip
    write_bytes(output, text.getvalue().encode())
    return listed


def _of_set(folder: Path, weight: float, source: str) -> Iterator[ListedImage]:
    table = read_table(folder / SPLIT_NAME, needed=("image", "split", "group"))
    for row, cells in zip(table.rows, table.cells, strict=True):
        own = cells.get(SOURCE_ID, "")
        image = _hashed(folder, f"images/{row.image}")
        label = _hashed(folder, f"labels/{Path(row.image).stem}.tif")
        made = Row(
            line=row.line, image=image.path, label=label.path, split=row.split,
            group=f"{folder.name}-{row.group}", stratum=row.stratum, classes=row.classes,
            weight=weight,
        )  # fmt: skip
        yield ListedImage(made, image, label, f"{source}/{own}" if own else source)


def _hashed(folder: Path, path: str) -> FileEntry:
    file = folder / path
    try:
        size = file.stat().st_size
    except FileNotFoundError as error:
        raise NotFoundError(f"{file}: no such file, but {SPLIT_NAME} names it") from error
    except OSError as error:
        raise StorageError(f"{file}: cannot be read ({error.strerror or error})") from error
    return FileEntry(path=f"{folder.name}/{path}", size=size, sha256=sha256_of(file))
