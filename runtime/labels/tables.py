"""Tables in CSV files that say of images in which part and group they are, and where labels lie.

In: a file as spreadsheets write it. Out: its rows, checked.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samzoo.runtime.errors import FormatError, NotFoundError, StorageError, did_you_mean, shown

PARTS = ("train", "val", "test")
"""What an image may be for: to learn from, to choose a model on, to measure the model on."""

COLUMNS = {
    "image": ("image", "file"),
    "label": ("label", "labels"),
    "split": ("split",),
    "group": ("group",),
    "stratum": ("stratum",),
    "classes": ("classes",),
    "weight": ("weight",),
}
"""The names that each column may have, in upper or lower case. Other columns are not read."""

MAX_WEIGHT = 1000.0
"""Largest weight; the smallest is its inverse (own choice: more is surely a slip)."""

SPLIT_NAME = "split.csv"
"""The name of a table of parts and groups that lies beside a folder of images."""

TABLE_SUFFIXES = (".csv", ".tsv")

_SEPARATORS = ",;\t"
"""Spreadsheets write semicolons where the comma is a decimal point."""

_MOST_NAMED = 5
"""Rows that a message names (own choice)."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table; what it does not say is empty.

    Attributes:
        line: Line number in the file, from 1.
        image: Name or path of an image.
        label: Name or path of its label image.
        split: One of ``PARTS``.
        group: What the image is a piece of: field, scene, patient.
        stratum: What kind of image it is.
        classes: The classes of its objects in the order of their labels, between ``|``.
        weight: How often the image's group is drawn in training, beside others; above 0.
    """

    line: int
    image: str
    label: str = ""
    split: str = ""
    group: str = ""
    stratum: str = ""
    classes: str = ""
    weight: float = 1.0


@dataclass(frozen=True)
class Table:
    """A table with at least one row.

    Attributes:
        path: The file.
        columns: Which of ``COLUMNS`` it has.
        rows: Its rows, in order; no image is in two of them.
        cells: For each row, all its cells by the names of the header, in lower case: also those of
            columns that are none of ``COLUMNS``.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    cells: tuple[Mapping[str, str], ...]


def is_table(path: Path) -> bool:
    """Tell whether a path names a table by its suffix."""
    return path.suffix.lower() in TABLE_SUFFIXES


def read_table(path: Path, *, needed: Sequence[str]) -> Table:
    """Read a table with a header line, separated by commas, semicolons or tabs, in UTF-8.

    Args:
        path: The file.
        needed: Columns that it must have, keys of ``COLUMNS``.

    Returns:
        The table.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is no such table: a column is missing or there twice, or a row is too short,
            names no image, an unknown part, or an image that another row names too.
        StorageError: The file cannot be read.
    """
    lines = _lines(path)
    if not lines:
        raise FormatError(f"{path}: the file is empty; expected a header such as image,split,group")
    separator = max(_SEPARATORS, key=lines[0].count)
    try:
        cells = list(csv.reader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        raise FormatError(f"{path}: not a CSV file ({error})") from error
    header = [name.strip().casefold() for name in cells[0]]
    places = _places(path, header, needed)
    filled = [
        (line, found)
        for line, found in enumerate(cells[1:], start=2)
        if any(cell.strip() for cell in found)
    ]
    rows = [_row(path, line, found, len(header), places) for line, found in filled]
    if not rows:
        raise FormatError(f"{path}: has a header and no rows; expected a row for each image")
    _refuse_twice(path, rows)
    named = [
        dict(zip(header, (cell.strip() for cell in found), strict=True)) for _, found in filled
    ]
    return Table(path, tuple(places), tuple(rows), tuple(named))


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise NotFoundError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: not UTF-8 text; save the table as CSV in UTF-8") from error
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error


def _places(path: Path, header: Sequence[str], needed: Sequence[str]) -> dict[str, int]:
    """Return where the columns are, by the keys of ``COLUMNS``."""
    places: dict[str, int] = {}
    for column, names in COLUMNS.items():
        found = [place for place, name in enumerate(header) if name in names]
        if len(found) > 1:
            both = " and ".join(shown(header[place]) for place in found)
            raise FormatError(f"{path}: has {both}, which mean the same; keep one of the columns")
        if found:
            places[column] = found[0]
        elif column in needed:
            names_of = " or ".join(map(repr, names))
            raise FormatError(
                f"{path}: has no column {names_of}; found {', '.join(map(shown, header))}"
                f"{did_you_mean(names[0], header)}"
            )
    return places


def _row(path: Path, line: int, cells: Sequence[str], width: int, places: dict[str, int]) -> Row:
    if len(cells) != width:
        raise FormatError(
            f"{path}, line {line}: found {len(cells)} cells, the header has {width}; "
            "put text with a separator in it in quotes"
        )
    texts = {column: cells[place].strip() for column, place in places.items()}
    weight = _weight(path, line, texts.pop("weight", ""))
    row = Row(line=line, weight=weight, **texts)
    if not row.image or ("label" in places and not row.label):
        raise FormatError(f"{path}, line {line}: the row names no image, or no label image")
    if "split" in places and row.split not in PARTS:
        raise FormatError(
            f"{path}, line {line}: split: found {shown(row.split)}, allowed are {', '.join(PARTS)}"
        )
    return row


def _weight(path: Path, line: int, text: str) -> float:
    """Return a weight; an empty cell is 1."""
    try:
        weight = float(text or 1)
    except ValueError:
        weight = math.nan
    if not 1 / MAX_WEIGHT <= weight <= MAX_WEIGHT:  # also false for NaN
        raise FormatError(
            f"{path}, line {line}: weight: found {shown(text)}, allowed are numbers from "
            f"{1 / MAX_WEIGHT:g} to {MAX_WEIGHT:g}; leave images out that are not to be drawn"
        )
    return weight


def _refuse_twice(path: Path, rows: Sequence[Row]) -> None:
    first: dict[str, Row] = {}
    twice = [row for row in rows if first.setdefault(row.image, row) is not row]
    if twice:
        named = "; ".join(
            f"{shown(row.image)} in lines {first[row.image].line} and {row.line}"
            for row in twice[:_MOST_NAMED]
        )
        raise FormatError(f"{path}: names images twice: {named}; keep one row of each")
