"""The mark in labels and overlays that samzoo wrote, so that none is taken for an image.

In: an image file. Out: whether samzoo wrote it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.PngImagePlugin import PngInfo

LABELS_SOFTWARE = "samzoo labels"
OVERLAY_SOFTWARE = "samzoo overlay"
"""Values of TIFF's tag Software (305) and of PNG's text Software."""


RECORD = "samzoo"
"""Name of the record in a label file: under it, in the JSON of TIFF's ImageDescription and PNG's
Description, and in the attributes of a Zarr group, stands how the labels were made."""

LabelFacts = Mapping[str, Any] | None
"""What the record says, such as ``ObjectScale.facts``; None writes no record."""


def described(facts: LabelFacts) -> str | None:
    """Return the text of a label file's record; None if there is nothing to record.

    >>> described({"used_scale": 1.5})
    '{"samzoo": {"used_scale": 1.5}}'
    """
    return json.dumps({RECORD: dict(facts)}) if facts else None


def png_origin(software: str, facts: LabelFacts = None) -> PngInfo:
    """Return the text that marks a PNG, for Pillow's ``save``."""
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("Software", software)
    text = described(facts)
    if text is not None:
        info.add_text("Description", text)
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
