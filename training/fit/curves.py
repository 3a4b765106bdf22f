"""The course of a run as files that a person opens: ``curves.png`` and ``metrics.csv``.

In: the run's log, a line for each epoch. Out: both files, made anew after each epoch and replaced
in one step.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samzoo.runtime.errors import StorageError
from samzoo.runtime.formats.outputs import replacing, write_bytes
from samzoo.runtime.images.overlay import PALETTE

if TYPE_CHECKING:
    from PIL.Image import Image

CURVES, METRICS = "curves.png", "metrics.csv"

Line = Mapping[str, Any]

COLUMNS = ("epoch", "step", "seconds", "learning_rate", "loss", "validated", "score")
"""First columns of the table, in this order; the scores by task follow."""

ALL, PART = "all", "part"
"""What ``validated`` says: all validation images and objects, or those chosen for each epoch."""

WIDTH, HEIGHT = 900, 420
"""Pixels of one of the two panels."""

LEFT, RIGHT, TOP, BOTTOM = 70, 50, 40, 40
"""Margins around a panel's axes, in pixels."""

GREY, BLACK = (200, 200, 200), (0, 0, 0)


def read_log(path: Path) -> list[dict[str, Any]]:
    """Read a run's log.

    Args:
        path: ``log.jsonl``.

    Returns:
        A line for each epoch, in order, and where an epoch has scores of a part of the validation
        data and of all, two. An epoch that was repeated after a crash counts once, and a line that
        a crash cut short not at all.

    Raises:
        StorageError: The file cannot be read.
    """
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error})") from error
    found: dict[tuple[int, bool], dict[str, Any]] = {}
    for text in texts:
        try:
            line = json.loads(text)
            found[line["epoch"], line.get("validated") == ALL] = line
        except (ValueError, TypeError, KeyError):
            continue
    return [found[epoch] for epoch in sorted(found)]


def write_course(log: Path) -> None:
    """Write ``curves.png`` and ``metrics.csv`` beside a run's log.

    Raises:
        StorageError: The disk is full or the folder cannot be written.
    """
    lines = read_log(log)
    write_bytes(log.with_name(METRICS), metrics_table(lines).encode())
    with replacing(log.with_name(CURVES)) as temporary:
        draw_curves(lines).save(temporary)


def metrics_table(lines: Sequence[Line]) -> str:
    """Return the log as CSV: a row for each line, ``COLUMNS`` first, then scores by task."""
    tasks = sorted({key for line in lines for key in line} - set(COLUMNS))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *tasks], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(dict(line) for line in lines)
    return text.getvalue()


def draw_curves(lines: Sequence[Line]) -> Image:
    """Draw loss and scores over epochs, the loss above, the scores below.

    Args:
        lines: From ``read_log``, at least one.

    Returns:
        An RGB picture.
    """
    from PIL import Image, ImageDraw

    tasks = sorted({key for line in lines for key in line} - set(COLUMNS))
    whole = [line for line in lines if line.get("validated") == ALL]
    parts = [line for line in lines if line.get("validated") == PART]
    lines = parts or lines  # scores of a part and of all are no common curve
    picture = Image.new("RGB", (WIDTH, 2 * HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    losses = [float(line["loss"]) for line in lines]
    _panel(draw, 0, "loss", lines, ["loss"], top=max(losses), bottom=min(0.0, *losses))
    _panel(draw, HEIGHT, "validation: mSA", lines, ["score", *tasks], top=1.0, bottom=0.0)
    best = max(lines, key=lambda line: line["score"])
    told = f"best: {best['score']:.3f} in epoch {best['epoch']}"
    if parts:
        told += "".join(f" (all images: {each['score']:.3f})" for each in whole[-1:])
    draw.text((WIDTH - RIGHT, HEIGHT + 12), told, fill=BLACK, font=_font(), anchor="ra")
    return picture


def _panel(
    draw: Any, y: int, title: str, lines: Sequence[Line], keys: Sequence[str],
    *, top: float, bottom: float,
) -> None:  # fmt: skip
    """Draw one panel, its upper edge at ``y``; values go from ``bottom`` to ``top``."""
    epochs = [int(line["epoch"]) for line in lines]
    first, last = min(epochs), max(max(epochs), min(epochs) + 1)
    span = top - bottom or 1.0

    def place(epoch: float, value: float) -> tuple[float, float]:
        x = LEFT + (epoch - first) / (last - first) * (WIDTH - LEFT - RIGHT)
        height = HEIGHT - TOP - BOTTOM
        return x, y + TOP + (1 - (value - bottom) / span) * height

    for part in range(5):
        value = bottom + span * part / 4
        draw.line([place(first, value), place(last, value)], fill=GREY)
        x, middle = place(first, value)
        draw.text((x - 8, middle), f"{value:.3g}", fill=BLACK, font=_font(), anchor="rm")
    for epoch in sorted({first, (first + last) // 2, last}):
        x, lower = place(epoch, bottom)
        draw.text((x, lower + 6), f"epoch {epoch}", fill=BLACK, font=_font(), anchor="ma")
    draw.text((LEFT, y + 12), title, fill=BLACK, font=_font())
    at = LEFT + 160
    for number, key in enumerate(keys):
        colour = (
            BLACK if key in ("loss", "score") else tuple(int(c) for c in PALETTE[(number + 3) % 7])
        )
        points = [place(line["epoch"], line[key]) for line in lines if key in line]
        draw.line(points, fill=colour, width=3 if key == "score" else 2)
        for x, middle in points:
            draw.ellipse([x - 3, middle - 3, x + 3, middle + 3], fill=colour)
        if len(keys) > 1:
            draw.line([(at, y + 19), (at + 18, y + 19)], fill=colour, width=3)
            draw.text((at + 24, y + 12), key, fill=BLACK, font=_font())
            at += 90


def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size=14)
