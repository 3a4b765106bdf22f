"""The name of each image's results, so that no two images write the same file.

In: images, and the names that an earlier run gave. Out: a name for each.
"""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LONGEST = 200
"""Most bytes of a name. File systems take 255; the files that are written before they get their
names have up to 30 more (own choice of the rest)."""


def result_names(images: Sequence[Path], taken: Mapping[str, str]) -> list[str]:
    """Choose a name for the results of each image: its own name without the suffix.

    If two images share that name, the first keeps it. The next is named with its suffix (``a_png``)
    or, if even their file names are equal, with its folder (``plate2_a``), else with a number. An
    image keeps the name of an earlier run, also if its folder has moved since. A name of more than
    ``LONGEST`` bytes is cut, and ends in eight digits that tell it from others.

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
    r"""Replace what UTF-8 cannot write, and what would begin another line, in a file's name.

    >>> printable("a\nb.tif")
    'a\\nb.tif'
    """
    plain = name.encode("utf-8", "backslashreplace").decode()
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in plain)


def folded(name: str) -> str:
    """Return a name as a file system compares it that ignores case (Windows, macOS)."""
    return unicodedata.normalize("NFC", name).casefold()


def _candidates(image: Path, *, alone: bool) -> Iterator[str]:
    stem = image.stem
    inner = Path(stem).suffix.lower()
    if inner == ".ome":  # labels are no OME-TIFF
        stem = stem[: -len(inner)]
    stem = _short(stem)
    yield stem
    if alone:
        yield f"{stem}_{image.suffix[1:]}"
    yield _short(f"{Path(os.path.abspath(image)).parent.name}_{stem}")
    for number in range(2, 10**9):
        yield f"{stem}_{number}"


def _short(name: str) -> str:
    data = os.fsencode(name)
    if len(data) <= LONGEST:
        return name
    digits = hashlib.sha256(data).hexdigest()[:8]
    return f"{data[: LONGEST - 9].decode(errors='ignore')}_{digits}"
