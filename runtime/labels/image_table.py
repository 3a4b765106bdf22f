"""The table beside a data set: each image's split, group, stratum, and the classes of its objects.

In: a CSV file such as ``split.csv``. Out: an ``ImageTable``. Training reads groups and splits from
it, evaluation groups, strata and classes.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from samzoo.runtime.errors import FormatError, InputError, NotFoundError

IMAGE_COLUMNS = ("file", "image")
"""Names of the column that says which image a row is about; a table has one of them."""

FACT_COLUMNS = ("label", "split", "group", "stratum", "classes")
"""The other columns that samzoo reads; a table may hold more, which are not used."""

CLASS_SEPARATOR = "|"
"""Between the classes of an image's objects, which stand in the order of their labels."""

MOST_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class ImageFacts:
    """A row.

    Attributes:
        file: The image, as the table names it.
        label: Its label image, as the table names it; empty without this column.
        split: The part of the data set that it belongs to; empty without this column.
        group: What never crosses a split: its field, scene or examination; empty without this
            column.
        stratum: The kind of image; empty without this column.
        classes: The class of each object, in the order of the labels; empty without this column.
    """

    file: str
    label: str = ""
    split: str = ""
    group: str = ""
    stratum: str = ""
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class ImageTable:
    """A table that was read.

    Attributes:
        path: The file.
        columns: Names of its columns, in order.
        rows: Its rows, in order; each names another image.
    """

    path: Path
    columns: tuple[str, ...]
    rows: tuple[ImageFacts, ...]

    def facts_of(self, images: Sequence[Path]) -> list[ImageFacts]:
        """Return the row of each image.

        A row names an image by its file name, or by the end of its path (``plate1/a.tif``). Rows
        about other images are not used.

        Args:
            images: Image files; they need not exist.

        Returns:
            A row for each image, in order.

        Raises:
            InputError: An image has no row, or several.
        """
        by_name: dict[str, list[ImageFacts]] = {}
        for row in self.rows:
            by_name.setdefault(_parts(row.file)[-1], []).append(row)
        found, missing = [], []
        for image in images:
            parts = _parts(image.as_posix())
            fitting = [
                row
                for row in by_name.get(parts[-1], [])
                if parts[-len(_parts(row.file)) :] == _parts(row.file)
            ]
            if len(fitting) > 1:
                raise InputError(
                    f"{self.path}: rows {fitting[0].file!r} and {fitting[1].file!r} both fit the "
                    f"image {image}; name each image by one path"
                )
            found += fitting
            missing += [] if fitting else [image.name]
        if missing:
            named = ", ".join(missing[:MOST_NAMED]) + (", ..." if len(missing) > MOST_NAMED else "")
            raise InputError(
                f"{self.path}: no row for {len(missing)} of {len(images)} images: {named}; the "
                f"column {self.columns[self._image_column]!r} must hold the names of the files"
            )
        return found

    @property
    def _image_column(self) -> int:
        return next(i for i, name in enumerate(self.columns) if name in IMAGE_COLUMNS)


def read_image_table(path: Path, *, needed: Sequence[str] = ()) -> ImageTable:
    """Read a table of images.

    Args:
        path: A CSV file in UTF-8 with a header. Cells are separated by commas, semicolons or tabs,
            whichever the header has most of. The column ``file`` (or ``image``) names images.
        needed: Those of ``FACT_COLUMNS`` that the caller cannot do without.

    Returns:
        The table. Spaces around cells are dropped.

    Raises:
        NotFoundError: There is no such file.
        FormatError: It is no such table: no text, no header or rows, a needed column is missing, a
            column or an image is there twice, a row has another number of cells, or a needed cell
            is empty. The message names the line.
    """
    text = _text(path)
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        cells = [(lines.line_num, [each.strip() for each in row]) for row in lines if any(row)]
    except csv.Error as error:
        raise FormatError(f"{path}: line {lines.line_num}: {error}") from error
    if len(cells) < 2:
        raise FormatError(f"{path}: expected a header and a row for each image, found neither")
    columns = tuple(name.lower() for name in cells[0][1])
    _check_columns(path, columns, needed)
    rows = [_row(path, number, columns, row, needed) for number, row in cells[1:]]
    seen: dict[tuple[str, ...], int] = {}
    for (number, _), row in zip(cells[1:], rows, strict=True):
        earlier = seen.setdefault(_parts(row.file), number)
        if earlier != number:
            raise FormatError(
                f"{path}: line {number}: the image {row.file!r} stands in line {earlier} already; "
                "keep one row an image"
            )
    return ImageTable(path=path, columns=columns, rows=tuple(rows))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # spreadsheets write a byte order mark
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: is no text in UTF-8; save the table as CSV (UTF-8)") from error
    except OSError as error:
        raise NotFoundError(f"{path}: cannot be read ({error.strerror or error})") from error


def _check_columns(path: Path, columns: Sequence[str], needed: Sequence[str]) -> None:
    found = f"found the columns {', '.join(columns)}"
    twice = [name for name in columns if name and columns.count(name) > 1]
    if twice:
        raise FormatError(f"{path}: the column {twice[0]!r} is there twice; {found}")
    images = [name for name in columns if name in IMAGE_COLUMNS]
    if len(images) != 1:
        raise FormatError(
            f"{path}: expected one column {' or '.join(map(repr, IMAGE_COLUMNS))} with the names "
            f"of the images; {found}"
        )
    for name in needed:
        if name not in columns:
            raise FormatError(f"{path}: expected a column {name!r}; {found}")


def _row(
    path: Path, number: int, columns: Sequence[str], cells: Sequence[str], needed: Sequence[str]
) -> ImageFacts:
    if len(cells) != len(columns):
        raise FormatError(
            f"{path}: line {number}: found {len(cells)} cells, the header has {len(columns)}"
        )
    values: Mapping[str, str] = dict(zip(columns, cells, strict=True))
    file = next(values[name] for name in IMAGE_COLUMNS if name in values)
    if not file or not _parts(file):
        raise FormatError(f"{path}: line {number}: the name of the image is empty")
    for name in needed:
        if not values[name]:
            raise FormatError(f"{path}: line {number}: the column {name!r} is empty; fill it")
    facts = {name: values[name] for name in FACT_COLUMNS if name in values and name != "classes"}
    classes = values.get("classes", "")
    return ImageFacts(
        file=file,
        classes=tuple(each.strip() for each in classes.split(CLASS_SEPARATOR)) if classes else (),
        **facts,
    )


def _parts(name: str) -> tuple[str, ...]:
    """Split a path, on Windows or not, so that names compare whatever their letters' form."""
    plain = unicodedata.normalize("NFC", name.replace("\\", "/"))
    return tuple(part for part in PurePosixPath(plain).parts if part not in (".", "/"))
