"""The sheet: the image, and what each model found in it, side by side.

In: a view and trials. Out: a PNG file. The order is that of the trials; it is no ranking.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.errors import printable
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.outputs import write_bytes
from samzoo.runtime.images.origin import OVERLAY_SOFTWARE, png_origin
from samzoo.runtime.images.overlay import draw_overlay

from .trials import Trial
from .view import View

SIDE = 512
"""Longest side of a picture in pixels (own choice: three of them fit on a screen)."""

ACROSS = 3
"""Pictures in a row (own choice)."""

GAP, LINE, LINES = 16, 20, 7
"""Space around a picture and height of a line of text, in pixels, and lines below a picture."""

NAME_SIZE, TEXT_SIZE = 18, 14
LETTERS = 74
"""Letters of ``TEXT_SIZE`` that fit below a picture."""

PAPER, INK, DOUBT = (255, 255, 255), (20, 20, 20), (176, 60, 0)
EMPTY = (225, 225, 225)
"""Colours of the sheet, of text, of doubts and failures, and of a place without picture."""


def write_sheet(path: Path, title: str, view: View, trials: Sequence[Trial]) -> None:
    """Draw the sheet.

    Args:
        path: The PNG file to write; it is replaced.
        title: The image's name.
        view: What the models saw.
        trials: What they found.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    from PIL import Image, ImageDraw

    blank = np.zeros(view.image.shape[:2], np.int32)
    picture = _picture(view.image, blank)
    high, wide = picture.height, SIDE
    cells = 1 + len(trials)
    across = min(ACROSS, cells)
    cell = (wide + GAP, high + LINES * LINE + 2 * GAP)
    size = (across * cell[0] + GAP, -(-cells // across) * cell[1] + GAP)
    sheet = Image.new("RGB", size, PAPER)
    drawing = ImageDraw.Draw(sheet)
    for number in range(cells):
        x = GAP + number % across * cell[0]
        y = GAP + number // across * cell[1]
        if number == 0:
            _place(sheet, drawing, (x, y), picture, title, [(view.line(), INK), (CHOOSE, INK)])
            continue
        trial = trials[number - 1]
        found = None if trial.labels is None else _picture(view.image, trial.labels)
        lines = [(trial.line(), DOUBT if trial.error else INK)]
        lines += [(f"doubt: {note}", DOUBT) for note in trial.notes]
        shown = found or Image.new("RGB", picture.size, EMPTY)
        _place(sheet, drawing, (x, y), shown, trial.name, lines)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", pnginfo=png_origin(OVERLAY_SOFTWARE))
    write_bytes(path, buffer.getvalue())


CHOOSE = "in no order of merit: look, and choose"


def _picture(image: Array, labels: Labels2D) -> Any:
    """Draw labels on an image, with a longest side of ``SIDE`` pixels."""
    from PIL import Image

    step = max(image.shape[:2]) / SIDE
    if step > 1:  # outlines are drawn at the size at which they are looked at
        rows, columns = (
            (np.arange(max(1, round(length / step))) * step).astype(np.intp)
            for length in image.shape[:2]
        )
        image, labels = image[rows][:, columns], labels[rows][:, columns]
    drawn = Image.fromarray(draw_overlay(image, labels))
    drawn.thumbnail((SIDE, SIDE))
    return drawn


def _place(
    sheet: Any,
    drawing: Any,
    corner: tuple[int, int],
    picture: Any,
    name: str,
    lines: Sequence[tuple[str, tuple[int, int, int]]],
) -> None:
    x, y = corner
    sheet.paste(picture, (x, y))
    y += picture.height + 4
    drawing.text((x, y), _cut(name, LETTERS * TEXT_SIZE // NAME_SIZE), INK, font=_font(NAME_SIZE))
    wrapped = [
        (part, colour)
        for text, colour in lines
        for part in textwrap.wrap(_plain(text), LETTERS) or [""]
    ]
    if len(wrapped) > LINES - 1:
        last, colour = wrapped[LINES - 2]
        wrapped = [*wrapped[: LINES - 2], (f"{last[: LETTERS - 4]} ...", colour)]
    for text, colour in wrapped:
        y += LINE
        drawing.text((x, y + 4), text, colour, font=_font(TEXT_SIZE))


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def _cut(text: str, letters: int) -> str:
    text = _plain(text)
    return text if len(text) <= letters else f"...{text[3 - letters :]}"


def _plain(text: str) -> str:
    """Leave out what Pillow's own font cannot draw."""
    return printable(text).encode("latin-1", "replace").decode("latin-1")
