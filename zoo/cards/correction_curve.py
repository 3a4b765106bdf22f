"""The picture of how masks improve with corrections: the score after each, from a report.

In: an evaluation of a manifest. Out: a PNG, whose bytes depend on the numbers alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from samzoo.runtime.formats.manifest import Manifest
from samzoo.runtime.images.overlay import PALETTE

from .card_header import evaluations
from .card_pictures import CURVE, own_path, png_of

SHOWN = "msa"
"""The score that is drawn."""

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 56, 24, 48, 48
"""Size of the picture and margins around the axes, in pixels."""

GREY, BLACK = (205, 205, 205), (0, 0, 0)

NAMES = {"ip": "a point, then corrections", "ib": "a box, then corrections"}


def with_curves(manifest: Manifest) -> tuple[Manifest, dict[str, bytes]]:
    """Draw the curve of each evaluation that has one.

    Args:
        manifest: The package's manifest.

    Returns:
        The manifest, whose evaluations name their pictures, and the pictures by path.
    """
    added: dict[str, bytes] = {}
    found = []
    for entry in evaluations(manifest):
        curves = score_curves(entry)
        changed = {key: value for key, value in entry.items() if key != CURVE}
        if curves:
            data = draw_curve(curves)
            changed[CURVE] = own_path(CURVE, data)
            added[changed[CURVE]] = data
        found.append(changed)
    if not added and all(CURVE not in entry for entry in evaluations(manifest)):
        return manifest, {}
    return dataclasses.replace(manifest, metrics={**manifest.metrics, "evaluations": found}), added


def score_curves(entry: Mapping[str, Any]) -> dict[str, list[float]]:
    """Return the score after each number of corrections, by task; strangers write manifests.

    Args:
        entry: An evaluation of a manifest.

    Returns:
        Lists of at least two values in [0, 1], the first without correction.
    """
    found = entry.get("corrections")
    curves: dict[str, list[float]] = {}
    for task in NAMES:
        rounds = found.get(task) if isinstance(found, Mapping) else None
        if not isinstance(rounds, Sequence) or not 2 <= len(rounds) <= 100:
            continue
        values = [each.get(SHOWN) if isinstance(each, Mapping) else None for each in rounds]
        kept = [float(v) for v in values if isinstance(v, int | float) and 0 <= v <= 1]
        if len(kept) == len(values):
            curves[task] = kept
    return curves


def draw_curve(curves: Mapping[str, Sequence[float]]) -> bytes:
    """Draw scores over the number of corrections.

    Args:
        curves: From ``score_curves``, at least one.

    Returns:
        An RGB picture as PNG, black on white with a line for each task.
    """
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)
    font: Any = ImageFont.load_default(size=14)
    last = max(len(values) for values in curves.values()) - 1

    def place(number: float, value: float) -> tuple[float, float]:
        x = LEFT + number / last * (WIDTH - LEFT - RIGHT)
        return x, TOP + (1 - value) * (HEIGHT - TOP - BOTTOM)

    for part in range(6):
        value = part / 5
        draw.line([place(0, value), place(last, value)], fill=GREY)
        x, y = place(0, value)
        draw.text((x - 8, y), f"{value:.1f}", fill=BLACK, font=font, anchor="rm")
    step = max(1, -(-last // 10))
    for number in range(0, last + 1, step):
        x, y = place(number, 0)
        draw.text((x, y + 6), str(number), fill=BLACK, font=font, anchor="ma")
    middle = (LEFT + WIDTH - RIGHT) / 2
    draw.text((middle, HEIGHT - 6), "corrections", fill=BLACK, font=font, anchor="md")
    at = float(LEFT)
    for task, values in curves.items():
        colour = tuple(int(c) for c in PALETTE[4 + list(NAMES).index(task)])
        points = [place(number, value) for number, value in enumerate(values)]
        draw.line(points, fill=colour, width=3)
        for x, y in points:
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)
        draw.line([(at, 22), (at + 20, 22)], fill=colour, width=3)
        text = f"mSA, {NAMES[task]}"
        draw.text((at + 26, 22), text, fill=BLACK, font=font, anchor="lm")
        at += 26 + draw.textlength(text, font=font) + 24
    return png_of(picture)
