"""The picture of a study: the scores of each method, with their range over seeds.

In: rows of the tables. Out: an RGB picture with a panel for each base, data and number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from samzoo.runtime.evaluation.tasks import TASKS
from samzoo.runtime.images.overlay import PALETTE

from .results import Row, Spread
from .tables import METRICS, NAMES, block_title

if TYPE_CHECKING:
    from PIL.Image import Image

WIDTH = 900
LEFT, RIGHT = 190, 40
TOP, HEAD, FOOT, LANE, GAP = 50, 34, 34, 9, 10
"""Margins, the height of a panel's title and axis, that of a task's lane, and of the space between
two rows, in pixels."""

MOST_SHOWN = 20
"""Letters of a row's name that there is room for."""

GREY, BLACK = (205, 205, 205), (0, 0, 0)


def draw_study(rows: Sequence[Row]) -> Image:
    """Draw scores from 0 to 1: a dot for the mean, a line for the range, a colour for each task.

    Args:
        rows: From ``table_rows``, at least one.

    Returns:
        An RGB picture.
    """
    from PIL import Image, ImageDraw, ImageFont

    font: Any = ImageFont.load_default(size=14)
    tasks = [task for task in TASKS if any(task in row.scores for row in rows)]
    step = max(1, len(tasks)) * LANE + GAP
    panels = [list(group) for _, group in groupby(rows, key=lambda row: row.block)]
    height = TOP + sum(HEAD + len(panel) * step + FOOT for panel in panels)
    picture = Image.new("RGB", (WIDTH, height), "white")
    draw = ImageDraw.Draw(picture)
    colours = {task: tuple(int(c) for c in PALETTE[i % 7]) for i, task in enumerate(TASKS)}
    at = float(LEFT)
    for task in tasks:
        _mark(draw, at + 10, 24, at, at + 20, colours[task])
        text = NAMES.get(task, task)
        draw.text((at + 28, 24), text, fill=BLACK, font=font, anchor="lm")
        at += 28 + draw.textlength(text, font=font) + 26
    y = TOP
    for panel in panels:
        title = f"{block_title(panel[0])}: {METRICS[panel[0].metric]}"
        draw.text((LEFT, y + HEAD / 2), title, fill=BLACK, font=font, anchor="lm")
        y += HEAD
        bottom = y + len(panel) * step
        for part in range(6):
            x = _place(part / 5)
            draw.line([(x, y), (x, bottom)], fill=GREY)
            draw.text((x, bottom + 6), f"{part / 5:.1f}", fill=BLACK, font=font, anchor="ma")
        for row in panel:
            name = row.name if len(row.name) <= MOST_SHOWN else f"{row.name[:MOST_SHOWN]}..."
            draw.text((LEFT - 12, y + step / 2), name, fill=BLACK, font=font, anchor="rm")
            for lane, task in enumerate(tasks):
                spread = row.scores.get(task)
                if isinstance(spread, Spread):
                    middle = y + GAP / 2 + (lane + 0.5) * LANE
                    ends = (_place(spread.low), _place(spread.high))
                    _mark(draw, _place(spread.mean), middle, *ends, colours[task])
            y += step
            draw.line([(LEFT, y), (WIDTH - RIGHT, y)], fill=GREY)
        y = bottom + FOOT
    return picture


def _place(score: float) -> float:
    return LEFT + score * (WIDTH - LEFT - RIGHT)


def _mark(draw: Any, x: float, y: float, low: float, high: float, colour: tuple[int, ...]) -> None:
    draw.line([(low, y), (high, y)], fill=colour, width=3)
    draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
