"""The name of each image's results, so that no two images write the same file.

In: images, and the names that an earlier run gave. Out: a name for each.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path


def result_names(images: Sequence[Path], taken: Mapping[str, str]) -> list[str]:
    """Choose a name for the results of each image: its own name without the suffix.

    If two images share that name, the first keeps it. The next is named with its suffix (``a_png``)
    or, if even their file names are equal, with its folder (``plate2_a``), else with a number. An
    image keeps the name of an earlier run, also if its folder has moved since.

    Args:
        images: The image files; no two are the same.
        taken: The absolute path of the image by the name of its results, from earlier runs.

    Returns:
        A name for each image. Names differ also where upper and lower case do not count.
    """
    names: dict[Path, str] = {}
    known = {path: name for name, path in taken.items()}
    moved = {Path(path).name: name for path, name in known.items() if not os.path.exists(path)}
    used = {folded(name) for name in taken}
    files = Counter(folded(name) for name in (
        *(image.name for image in images), *(Path(p).name for p in known if os.path.exists(p))
    ))  # fmt: skip
    for image in images:
        name = known.get(os.path.abspath(image)) or moved.pop(image.name, None)
        if name is not None:
            names[image] = name
    for image in images:
        if image not in names:
            candidates = _candidates(image, alone=files[folded(image.name)] == 1)
            names[image] = next(name for name in candidates if folded(name) not in used)
            used.add(folded(names[image]))
    return [names[image] for image in images]


def shown_names(images: Sequence[Path]) -> list[str]:
    """Return how tables and lines name each image: its file name, with as few folders as needed.

    >>> shown_names([Path("in/a.tif"), Path("x/b.tif"), Path("y/b.tif")])
    ['a.tif', 'x/b.tif', 'y/b.tif']
    """
    parts = [Path(os.path.abspath(image)).parts for image in images]
    depths = [1] * len(parts)
    while True:
        shown = ["/".join(part[-depth:]) for part, depth in zip(parts, depths, strict=True)]
        counts = Counter(shown)
        grown = [
            depth + 1 if counts[name] > 1 and depth < len(part) else depth
            for name, part, depth in zip(shown, parts, depths, strict=True)
        ]
        if grown == depths:
            return [printable(name) for name in shown]
        depths = grown


def printable(name: str) -> str:
    """Replace what UTF-8 cannot write in the name of a file from another system."""
    return name.encode("utf-8", "backslashreplace").decode()


def folded(name: str) -> str:
    """Return a name as a file system compares it that ignores case (Windows, macOS)."""
    return unicodedata.normalize("NFC", name).casefold()


def _candidates(image: Path, *, alone: bool) -> Iterator[str]:
    stem = image.stem
    inner = Path(stem).suffix.lower()
    if inner == ".ome":  # labels are no OME-TIFF
        stem = stem[: -len(inner)]
    yield stem
    if alone:
        yield f"{stem}_{image.suffix[1:]}"
    yield f"{Path(os.path.abspath(image)).parent.name}_{stem}"
    for number in range(2, 10**9):
        yield f"{stem}_{number}"
