"""The pictures of a card: reduced to a few pixels, named by their content, and put into a manifest.

In: image files, and a manifest. Out: the manifest that names the pictures, and their bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from samzoo.runtime.errors import NotFoundError
from samzoo.runtime.formats.manifest import CardPicture, Manifest
from samzoo.runtime.images.overlay import visible
from samzoo.runtime.images.reading import read_image

from .card_file import PictureEntry
from .card_header import evaluations

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 256
"""Longest side of a picture that shows what a model is for. Source: the terms of the data sets that
samzoo's own models are trained on allow pictures of that size beside the attribution."""

COVER_SIDE = 1024
"""Longest side of the cover (own choice: sharp on a page, and mostly below the 500 kB that
BioImage.IO allows)."""

COVER = "cover"
"""Key of ``Manifest.card``: the path of the first picture."""

CURVE = "curve"
"""Key of an evaluation: the path of the picture of its correction curve."""

OWN = re.compile(r"pictures/[a-z]+-[0-9a-f]{12}\.png")
"""Names of the pictures that samzoo writes: what for, and the start of their sha256. A new picture
never has the name of another, so that no moment of a change leaves a package without one."""


def with_pictures(
    manifest: Manifest, entries: Sequence[PictureEntry], *, beside: Path
) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest with the small pictures of a card file, in place of earlier ones.

    Args:
        manifest: The package's manifest.
        entries: From the card file.
        beside: The folder in which files of the entries are.

    Returns:
        The manifest, and the new pictures by their path in the package: PNG, at most ``SIDE``
        pixels, without any metadata.

    Raises:
        NotFoundError: A file is neither in the folder nor a picture of the package.
        ImageError: A file cannot be read as one image.
    """
    listed = {entry.path for entry in manifest.files}
    pictures: list[CardPicture] = []
    added: dict[str, bytes] = {}
    for entry in entries:
        path, source = entry.file, beside / entry.file
        if source.is_file():
            data = png_of(read_picture(source, SIDE))
            path = own_path(entry.shows, data)
            added[path] = data
        elif path not in listed:
            raise NotFoundError(
                f"{source}: no such file, and the package has no picture {entry.file!r}; the files "
                "of [[pictures]] are searched for beside the card file"
            )
        texts = {"caption": entry.caption.strip(), "attribution": entry.attribution.strip()}
        pictures.append(CardPicture(path=path, shows=entry.shows, **texts))
    return dataclasses.replace(manifest, pictures=tuple(pictures)), added


def with_cover(manifest: Manifest, image: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest with a new cover, at most ``COVER_SIDE`` pixels, and the file to add.

    Raises:
        NotFoundError: There is no such file.
        ImageError: It cannot be read as one image.
    """
    data = png_of(read_picture(image, COVER_SIDE))
    path = own_path(COVER, data)
    return dataclasses.replace(manifest, card={**manifest.card, COVER: path}), {path: data}


def read_picture(path: Path, side: int) -> Image:
    """Read an image file for the eye, its longest side ``side`` pixels or less.

    Images of 8 bits stay as they are, all others are stretched as ``draw_overlay`` does.
    """
    from PIL import Image

    image = read_image(path)
    shown = image if image.dtype == np.uint8 else visible(image).round().astype(np.uint8)
    picture: Any = Image.fromarray(np.ascontiguousarray(shown)).convert("RGB")
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    return picture  # type: ignore[no-any-return]


def png_of(picture: Image) -> bytes:
    """Return a picture as PNG."""
    data = io.BytesIO()
    picture.save(data, format="PNG", optimize=True)
    return data.getvalue()


def own_path(what: str, data: bytes) -> str:
    """Name a picture of a package: what it is for, and its content."""
    return f"pictures/{what}-{hashlib.sha256(data).hexdigest()[:12]}.png"


def named_pictures(manifest: Manifest) -> set[str]:
    """Return the paths of all pictures that the card shows."""
    found = {picture.path for picture in manifest.pictures}
    found |= {str(entry[CURVE]) for entry in evaluations(manifest) if entry.get(CURVE)}
    cover = str(manifest.card.get(COVER, ""))
    return found | ({cover} if cover else set())
