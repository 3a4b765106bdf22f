"""Lists of annotated images: where each lies, in which part it is, and in which group.

In: folders, files, or a list in a CSV file; and a table of parts and groups. Out: entries that do
not contradict each other. An image's group (field, scene, patient) is what it is a piece of; groups
never cross from one part to another, because images of one group look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from samzoo.runtime.errors import ImageError, InputError, NotFoundError

from .pairs import match_pairs, stem, unmarked
from .tables import SPLIT_NAME, Row, Table, is_table, read_table

_MOST_NAMED = 5
"""Files that a message names; the others are counted (own choice)."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An annotated image that is not read yet.

    Attributes:
        image: Its file.
        labels: The file of its labels.
        name: Names it in messages: the file's name, or its path in a list.
        part: One of ``PARTS``; empty if nobody says.
        group: What it is a piece of; empty if nobody says, and then it is a group of its own.
        stratum: What kind of image it is; empty if nobody says.
        classes: The class of each object, in the order of the labels; empty if nobody says.
        weight: How often its group is drawn in training, beside others.
    """

    image: Path
    labels: Path
    name: str
    part: str = ""
    group: str = ""
    stratum: str = ""
    classes: tuple[str, ...] = ()
    weight: float = 1.0


def entries(
    images: Path,
    labels: Path | None,
    *,
    split: Path | None = None,
    part: str | None = None,
    lonely: list[str] | None = None,
    say: Callable[[str], object] | None = None,
) -> list[Entry]:
    """List annotated images.

    Args:
        images: A folder of images, one image file, or a list: a CSV file with the columns ``image``
            and ``label`` (paths, relative to its folder), and perhaps ``split``,
            ``group`` and ``weight``.
        labels: A folder of label images or one label file, see ``match_pairs``; None with a list.
        split: A table of the images' parts and groups: a CSV file with the columns ``file`` or
            ``image`` (their names), and ``split`` or ``group`` or both. Not with a list.
        part: The part that is used alone: only its groups must not be in another one.
        lonely: As for ``match_pairs``; without files of another part than ``part``.
        say: Called with a sentence if the table names images that are not there.

    Returns:
        The entries; those of folders are sorted by name, those of a list in its order.

    Raises:
        NotFoundError: A file or folder does not exist.
        FormatError: A table is damaged, see ``read_table``.
        ImageError: See ``match_pairs``; or an image is not in the table.
        InputError: Labels or a table are given with a list, or no labels without one; or a group is
            in two parts, or has two weights.
    """
    if is_table(images):
        for name, given in (("labels", labels), ("split", split)):
            if given is not None:
                raise InputError(
                    f"{name}: found {given}, but {images} is a list, which names the label images, "
                    "parts and groups itself; omit it, or give the folder of the images"
                )
        listed = _of_list(read_table(images, needed=("image", "label")))
    elif labels is None:
        raise InputError(
            f"labels: give the folder of the label images of {images}, or as images a list: a CSV "
            "file with the columns image and label"
        )
    else:
        table = _parts_and_groups(split) if split is not None else None
        missed = None if table is None or part is None else _wanted(table, part)
        listed = [
            Entry(image=image, labels=label, name=image.name)
            for image, label in match_pairs(images, labels, lonely=lonely, missed=missed)
        ]
        if table is not None:
            listed = _with_table(listed, table, images, say)
    _refuse_two_weights(listed)
    refuse_crossing({each: [e for e in listed if e.part == each] for each in _parts(listed)}, part)
    return listed


def beside(images: Path) -> Path | None:
    """Return the table of parts and groups in a folder of images, or beside it, if there is one."""
    if not images.is_dir():
        return None
    places = (images, images.absolute().parent)
    return next((p / SPLIT_NAME for p in places if (p / SPLIT_NAME).is_file()), None)


def has_parts(listed: Sequence[Entry]) -> bool:
    """Tell whether a list says in which part its images are."""
    return any(entry.part for entry in listed)


def of_part(listed: Sequence[Entry], part: str) -> list[Entry]:
    """Choose the images of a part.

    Raises:
        InputError: There are none; the message says what there is.
    """
    chosen = [entry for entry in listed if entry.part == part]
    if not chosen:
        found = ", ".join(_parts(listed)) or "no parts"
        raise InputError(f"no image is in the part {part!r} (column split); found {found}")
    return chosen


class Grouped(Protocol):
    """An image that may be a piece of something."""

    @property
    def group(self) -> str:
        """What the image is a piece of; empty if nobody says."""


def about(listed: Sequence[Grouped]) -> str:
    """Count images, and their groups where they are known."""
    named = {entry.group for entry in listed} - {""}
    count = f"{len(listed)} image{'s' * (len(listed) != 1)}"
    if not named:
        return count
    groups = len(named) + sum(not entry.group for entry in listed)
    return f"{count} in {groups} group{'s' * (groups != 1)}"


def refuse_crossing(sides: dict[str, list[Entry]], used: str | None = None) -> None:
    """Refuse a group that is on several sides, of which one tells how good another is.

    Args:
        sides: Entries by the name of their side, such as ``train`` and ``val``.
        used: The side that counts, if not all do: a group may be on two of the others.

    Raises:
        InputError: A group is on two sides.
    """
    where: dict[str, tuple[str, Entry]] = {}
    crossing: dict[str, str] = {}
    for side, listed in sides.items():
        for entry in listed:
            if not entry.group:
                continue
            other, first = where.setdefault(entry.group, (side, entry))
            if other != side and used in (None, other, side):
                crossing.setdefault(
                    entry.group,
                    f"{entry.group} is in {other} ({first.name}) and in {side} ({entry.name})",
                )
    if crossing:
        more = len(crossing) - _MOST_NAMED
        named = "; ".join(list(crossing.values())[:_MOST_NAMED])
        raise InputError(
            f"group: {named}{f'; and {more} more groups' if more > 0 else ''}. Images of one group "
            "look alike, so scores would be too good; put each group on one side"
        )


def _refuse_two_weights(listed: Sequence[Entry]) -> None:
    """Refuse a group with two weights: a weight is that of the group."""
    first: dict[str, Entry] = {}
    for entry in listed:
        other = first.setdefault(entry.group, entry) if entry.group else entry
        if other.weight != entry.weight:
            raise InputError(
                f"weight: {entry.group} has {other.weight:g} ({other.name}) and {entry.weight:g} "
                f"({entry.name}); give all images of a group one weight"
            )


def _parts(listed: Sequence[Entry]) -> list[str]:
    return list(dict.fromkeys(entry.part for entry in listed if entry.part))


def _of_list(table: Table) -> list[Entry]:
    folder = table.path.parent
    listed = [
        Entry(image=folder / row.image, labels=folder / row.label, name=row.image, **_facts(row))
        for row in table.rows
    ]
    missing = [path for e in listed for path in (e.image, e.labels) if not path.exists()]
    if missing:
        raise NotFoundError(
            f"{table.path}: {len(missing)} of its files do not exist: {_named(missing)}; paths are "
            f"relative to {folder}"
        )
    for entry in listed:
        if entry.image.samefile(entry.labels):
            raise ImageError(f"{table.path}: {entry.name} is given both as image and as labels")
    return listed


def _parts_and_groups(path: Path) -> Table:
    table = read_table(path, needed=("image",))
    if "split" not in table.columns and "group" not in table.columns:
        raise InputError(f"{path}: has neither a column 'split' nor 'group'; expected at least one")
    return table


def _wanted(table: Table, part: str) -> Callable[[Path], bool]:
    """Return what tells of an image or label file whether a part may miss it."""
    parts: dict[str, set[str]] = {}
    for row in table.rows:
        parts.setdefault(stem(Path(row.image)), set()).add(row.split)

    def wanted(path: Path) -> bool:
        known = parts.get(stem(path)) or parts.get(unmarked(stem(path))) or {part}
        return not known.isdisjoint({part, ""})

    return wanted


def _with_table(
    listed: Sequence[Entry],
    table: Table,
    images: Path,
    say: Callable[[str], object] | None,
) -> list[Entry]:
    by_name: dict[str, Row] = {}
    by_stem: dict[str, list[Row]] = {}
    for row in table.rows:
        path = Path(row.image)
        if by_name.setdefault(path.name, row) is not row:
            raise InputError(f"{table.path}: has several rows for {path.name}; keep one")
        by_stem.setdefault(stem(path), []).append(row)
    found: list[Entry] = []
    missing: list[Path] = []
    for entry in listed:
        same = by_stem.get(stem(entry.image), [])
        known = by_name.get(entry.image.name) or (same[0] if len(same) == 1 else None)
        if known is None:
            missing.append(entry.image)
        else:
            found.append(replace(entry, **_facts(known)))
    if missing:
        raise ImageError(
            f"{table.path}: has no row for {len(missing)} of {len(listed)} images in {images}: "
            f"{_named(missing)}; add a row for each"
        )
    more = len(table.rows) - len(found)
    if more > 0 and say is not None:
        say(f"{table.path}: {more} of its {len(table.rows)} images are not in {images}")
    return found


def _facts(row: Row) -> dict[str, Any]:
    """Return what a row says of its image, as fields of ``Entry``."""
    classes = tuple(each.strip() for each in row.classes.split("|")) if row.classes else ()
    return {"part": row.split, "group": row.group, "stratum": row.stratum, "classes": classes,
            "weight": row.weight}  # fmt: skip


def _named(paths: Sequence[Path]) -> str:
    names = ", ".join(path.name for path in paths[:_MOST_NAMED])
    return f"{names}, ..." if len(paths) > _MOST_NAMED else names
