"""The images of a run of a study: all of a list, or a few that a seed chooses.

In: entries of a list with parts. Out: entries for one run, and a list that ``samzoo train``
reads.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.runtime.labels.lists import Entry
from samzoo.runtime.labels.tables import PARTS

COLUMNS = ("image", "label", "split", "group", "weight", "stratum", "classes")


def check_parts(listed: Sequence[Entry], numbers: Sequence[int], *, where: str) -> None:
    """Check that a list has all parts, and as many training images as a study wants.

    Args:
        listed: The images.
        numbers: Numbers of training images; 0 is all.
        where: Names the list in messages.

    Raises:
        InputError: A part is missing, or has too few images.
    """
    counts = {part: sum(entry.part == part for entry in listed) for part in PARTS}
    for part, count in counts.items():
        if not count:
            raise InputError(
                f"{where}: no image is in the part {part!r} (column split); a study needs "
                f"{', '.join(PARTS)}"
            )
    if max(numbers) > counts["train"]:
        raise InputError(
            f"{where}: numbers: found {max(numbers)}, but {counts['train']} images are in the part "
            "'train'"
        )


def chosen_images(listed: Sequence[Entry], number: int, seed: int) -> list[Entry]:
    """Choose the images of a run.

    Args:
        listed: The images, with parts.
        number: Number of training images; 0 is all.
        seed: Seed of the choice.

    Returns:
        So many images of ``train``, as many of ``val`` (a person with few images has few to
        validate on, too; the paper trains and validates on one each), and all of ``test``. Groups
        come in a random order, and give an image each before one gives a second. A smaller number
        is a part of a larger one's images.
    """
    if number == 0:
        return list(listed)
    rng = np.random.default_rng(seed)
    kept = set[int]()
    for part in ("train", "val"):
        groups: dict[str, list[int]] = {}
        for index, entry in enumerate(listed):
            if entry.part == part:
                groups.setdefault(entry.group or f"\n{index}", []).append(index)
        shuffled = [rng.permutation(groups[name]) for name in rng.permutation(sorted(groups))]
        rounds = chain.from_iterable(zip_longest(*shuffled))
        kept |= set([int(index) for index in rounds if index is not None][:number])
    return [e for i, e in enumerate(listed) if i in kept or e.part not in ("train", "val")]


def image_list(listed: Sequence[Entry]) -> str:
    """Return images as a list that ``samzoo train --images`` takes, with whole paths."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for entry in listed:
        paths = [path.resolve().as_posix() for path in (entry.image, entry.labels)]
        kind = (entry.stratum, "|".join(entry.classes))
        writer.writerow((*paths, entry.part, entry.group, f"{entry.weight:g}", *kind))
    return text.getvalue()


def write_image_list(listed: Sequence[Entry], output: Path) -> None:
    """Write ``image_list`` to a file.

    Raises:
        StorageError: The file cannot be written.
    """
    write_bytes(output, image_list(listed).encode())
