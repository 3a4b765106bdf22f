"""A sheet of the worst validation images, with what is true and what was found.

In: images with true and found labels. Out: one picture, ``worst.png``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.images.intensity import to_0_255
from samzoo.runtime.images.overlay import contours, enlarge

if TYPE_CHECKING:
    from PIL.Image import Image

WORST = "worst.png"

MOST, IN_A_ROW = 6, 3
"""Images on a sheet, and in a row."""

SIDE = 512
"""Longest side in pixels of an image on the sheet."""

TRUE, FOUND, BOTH = (86, 180, 233), (230, 159, 0), (204, 121, 167)
"""Colours of outlines: of true objects, of found ones, and where they agree. Source: Okabe
and Ito, Color Universal Design (2008)."""

TITLE, MARGIN = 24, 8


@dataclass(frozen=True)
class Judged:
    """An image with what was found in it.

    Attributes:
        name: Names the image.
        image: ``(height, width)`` or ``(height, width, 3)``.
        truth: ``(height, width)`` true labels; -1 is not annotated.
        labels: ``(height, width)`` found labels.
        score: mSA of the found labels, 0 to 1.
    """

    name: str
    image: Array
    truth: Labels2D
    labels: Labels2D
    score: float


def write_worst(folder: Path, judged: Sequence[Judged], *, task: str) -> None:
    """Write the sheet of the worst images into a run's folder.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    with replacing(folder / WORST) as temporary:
        worst_sheet(judged, task=task).save(temporary)


def worst_sheet(judged: Sequence[Judged], *, task: str) -> Image:
    """Draw the images with the lowest scores, the worst first.

    Args:
        judged: At least one image.
        task: The task whose score and labels these are.

    Returns:
        An RGB picture with at most ``MOST`` images.
    """
    from PIL import Image, ImageDraw, ImageFont

    chosen = sorted(judged, key=lambda each: each.score)[:MOST]
    pictures = [outlined(each) for each in chosen]
    columns = min(IN_A_ROW, len(pictures))
    rows = -(-len(pictures) // columns)
    width, height = SIDE + MARGIN, SIDE + MARGIN + TITLE
    sheet = Image.new("RGB", (columns * width + MARGIN, rows * height + TITLE), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for place, (each, picture) in enumerate(zip(chosen, pictures, strict=True)):
        x, y = MARGIN + place % columns * width, place // columns * height
        told = f"{task} mSA {each.score:.2f}  {each.name}"
        draw.text((x, y + 4), told[: SIDE // 8], fill="black", font=font)
        sheet.paste(Image.fromarray(picture), (x, y + TITLE))
    x, y = MARGIN, rows * height + 2
    for text, colour in (("true", TRUE), ("found", FOUND), ("both", BOTH)):
        draw.rectangle([x, y + 2, x + 14, y + 14], fill=colour, outline="black")
        draw.text((x + 20, y), text, fill="black", font=font)
        x += 80
    return sheet


def outlined(judged: Judged) -> NDArray[np.uint8]:
    """Draw the outlines of true and found objects over an image of at most ``SIDE`` pixels.

    Returns:
        ``(height, width, 3)`` uint8 RGB.
    """
    longest = max(judged.truth.shape)
    step, factor = -(-longest // SIDE), max(1, SIDE // longest)
    visible = Preprocessing(intensity="percentile", percentiles=(0.5, 99.5))
    image = to_0_255(judged.image, visible)[::step, ::step]
    picture: NDArray[np.uint8] = enlarge(np.clip(np.rint(image), 0, 255).astype(np.uint8), factor)
    true = contours(enlarge(np.maximum(judged.truth, 0)[::step, ::step], factor))
    found = contours(enlarge(judged.labels[::step, ::step], factor))
    picture[true] = TRUE
    picture[found] = FOUND
    picture[true & found] = BOTH
    return picture
