"""The mark in labels and overlays that samzoo wrote, so that none is taken for an image.

In: an image file. Out: whether samzoo wrote it.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

LABELS_SOFTWARE = "samzoo labels"
OVERLAY_SOFTWARE = "samzoo overlay"
"""Values of TIFF's tag Software (305) and of PNG's text Software."""


def png_origin(software: str) -> PngInfo:
    """Return the text that marks a PNG, for Pillow's ``save``."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", software)
    return info


def is_ours(path: Path) -> bool:
    """Tell whether a file holds labels or an overlay that samzoo wrote.

    Args:
        path: Any file. One that cannot be read is not ours.
    """
    return _software(path) in (LABELS_SOFTWARE, OVERLAY_SOFTWARE)


def _software(path: Path) -> object:
    import tifffile
    from PIL import Image

    from samzoo.runtime.pixels.decoders import decoding

    with contextlib.suppress(Exception), decoding(path, "image"):
        with path.open("rb") as file:
            start = file.read(4)
        if start == b"\x89PNG":
            with Image.open(path) as picture:
                return picture.info.get("Software")
        if start[:2] in (b"II", b"MM"):
            with tifffile.TiffFile(path) as tiff:
                return tiff.pages.first.software
    return None
