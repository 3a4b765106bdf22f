"""Marks on an overlay: how many objects there are, and a bar that says how large they are.

In: a picture, and what to say. Out: the same picture with both in its lower corners.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LONGEST_BAR = 0.25
"""Largest share of the picture's width that a bar takes (own choice)."""

SMALLEST_SIDE = 200
"""Smaller pictures have no marks, which would hide them (own choice)."""

_HEIGHT = 0.035
"""Height of the letters, as a share of the picture's shorter side (own choice)."""

_ROUND = (1, 2, 5)


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What is written on an overlay.

    Attributes:
        objects: Number of objects.
        micrometres: Width of a pixel of the image; None if it is not known: then there is no bar.
    """

    objects: int
    micrometres: float | None = None


def draw_marks(picture: NDArray[np.uint8], marks: Marks, *, pixels: int) -> NDArray[np.uint8]:
    """Write the number of objects into the lower left corner, and a bar into the lower right one.

    Args:
        picture: ``(height, width, 3)`` RGB.
        marks: What to write.
        pixels: Columns of the image that the picture shows, which may be reduced or enlarged.

    Returns:
        A new picture of the same size; a small one is returned as it is.
    """
    from PIL import Image, ImageDraw, ImageFont

    height, width = picture.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        return picture
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    size = max(round(_HEIGHT * min(height, width)), 12)
    font = ImageFont.load_default(size)
    edge, line = size // 2, max(size // 8, 1)
    style = {"fill": (255, 255, 255), "stroke_fill": (0, 0, 0), "stroke_width": line}
    objects = f"{marks.objects} object" + ("" if marks.objects == 1 else "s")
    draw.text((edge, height - edge), objects, font=font, anchor="ls", **style)
    if marks.micrometres is not None:
        scale = width / pixels / marks.micrometres  # pixels of the picture in a micrometre
        length = bar_length(LONGEST_BAR * width / scale)
        left, right, low = width - edge - length * scale, width - edge, height - edge
        box = (round(left), low - max(size // 4, 2), right, low)
        draw.rectangle(box, fill=(255, 255, 255), outline=(0, 0, 0))
        middle = ((left + right) / 2, box[1] - 2 * line)
        draw.text(middle, bar_text(length), font=font, anchor="ms", **style)
    return np.asarray(image)


def bar_length(most: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50 and so on, or of 0.5, 0.2, that is not above.

    >>> bar_length(47.0), bar_length(0.03), bar_length(5.0)
    (20.0, 0.02, 5.0)
    """
    tens = math.floor(math.log10(most) + 1e-9)
    first = max(each for each in _ROUND if each * 10.0**tens <= most * (1 + 1e-9))
    return float(f"{first}e{tens}")  # round, as it is written


def bar_text(length: float) -> str:
    """Return a length in the unit in which it is a short number; Pillow's letters lack the µ.

    >>> bar_text(20), bar_text(0.05), bar_text(5000)
    ('20 um', '50 nm', '5 mm')
    """
    for unit, micrometres in (("mm", 1e3), ("um", 1.0)):
        if length >= micrometres:
            return f"{length / micrometres:g} {unit}"
    return f"{length * 1e3:g} nm"
