"""The tables of a folder of results: all objects of all images, and a count for each image.

In: the records of a folder of results. Out: ``objects.csv`` and ``counts.csv``, whole or not at
all, written row by row, so that memory does not grow with the images.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.images.label_arrays import median_object_diameter

from .names import printable, shown_names
from .records import Records
from .verdicts import FAILED, Verdict

OBJECTS, COUNTS = "objects.csv", "counts.csv"

COUNT_COLUMNS = (
    "image", "labels", "objects", "median_diameter", "used_diameter", "used_scale", "diameter_from",
    "verdict", "message",
)  # fmt: skip
"""``median_diameter``: of circles of the objects' areas, in image pixels; empty for volumes. A
failed image has no number of objects, so that it cannot be taken for an empty one."""


def is_table(path: Path) -> bool:
    """Tell whether a file is a table that a run wrote, which the next run writes anew."""
    try:
        with path.open("rb") as file:
            return file.readline().strip().split(b",")[0] == b"image"
    except OSError:
        return False


def write_object_table(path: Path, records: Records) -> None:
    """Write a row for each object of each image; the first column names the image.

    Raises:
        WriteError: The disk is full or the folder cannot be written.
    """
    done = _done(records)
    columns: dict[str, None] = {"image": None}  # shown with its folder where names are equal
    for name, _ in done:
        columns.update(dict.fromkeys(_columns(records.objects(name))))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, tuple(columns), restval="", lineterminator="\n")
        writer.writeheader()
        for name, image in done:
            writer.writerows({**row, "image": image} for row in _rows(records.objects(name)))


def write_count_table(path: Path, records: Records, verdicts: Iterable[Verdict]) -> None:
    """Write a row for each image: those with labels, then those that failed in this run.

    Raises:
        WriteError: The disk is full or the folder cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COUNT_COLUMNS, restval="", lineterminator="\n")
        writer.writeheader()
        for name, image in _done(records):
            record = records.read(name)
            assert record is not None
            writer.writerow({
                "image": image,
                "labels": f"labels/{printable(name)}.tif",
                "objects": record.objects,
                "median_diameter": _median_diameter(_rows(records.objects(name))),
                **{name: value for name, value in record.scale.items() if name in COUNT_COLUMNS},
                "verdict": "done",
                "message": "; ".join(record.notes),
            })  # fmt: skip
        for verdict in verdicts:
            if verdict.verdict == FAILED:
                row = {"image": verdict.shown, "verdict": FAILED, "message": verdict.message}
                writer.writerow(row)


def _done(records: Records) -> Sequence[tuple[str, str]]:
    """Return name and image of what is done, by image."""
    found = [
        (name, Path(record.path))
        for name, record in records.all()
        if record.state == "done" and records.labels(name).exists()
    ]
    shown = shown_names([path for _, path in found])
    named = [(name, image) for (name, _), image in zip(found, shown, strict=True)]
    return sorted(named, key=lambda each: each[1])


def _columns(part: Path) -> list[str]:
    with part.open(newline="", encoding="utf-8") as file:
        return next(csv.reader(file), [])


def _rows(part: Path) -> Iterator[Mapping[str, str]]:
    with part.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _median_diameter(rows: Iterable[Mapping[str, str]]) -> str:
    areas = [float(row["area"]) for row in rows if "area" in row]
    return f"{median_object_diameter(areas):.1f}" if areas else ""
