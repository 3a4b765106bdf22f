"""A page of pictures: what each model found in each image, the worst first.

In: images with what was found, one after the other. Out: a folder with ``index.html``, the pictures
and ``worst.png``, a sheet that one can send.
"""

from __future__ import annotations

import html
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.evaluation.comparison import METRICS, Comparison
from samzoo.runtime.evaluation.report import ImageScores
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.formats.files import write_json
from samzoo.runtime.formats.outputs import write_bytes, write_folder
from samzoo.zoo.gallery.page_frame import html_page

from .panels import BOTH, FOUND, TRUTH, draw_panel

MARKER = "samzoo-pictures.json"
"""The file that marks a folder as written by samzoo, so that ``--force`` may replace it."""

SHEET, TITLE = "worst.png", "Worst first"

IN_SHEET = 12
"""Images in the sheet (own choice)."""

TILE, GAP, CAPTION = 400, 8, 16
"""Longest side of a picture in the sheet, space around it, and height of a caption, in pixels."""

STYLE = """
body { margin: 1rem auto; max-width: 120rem; padding: 0 1rem; background: #111; color: #eee;
  font: 16px/1.5 system-ui, sans-serif; }
h2 { font-size: 1rem; margin: 1.5rem 0 .3rem; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: .6rem; } figure { margin: 0; }
img { display: block; max-width: 100%; } figcaption { font-size: .85em; } a { color: #7bf; }
"""


@dataclass
class _Shown:
    row: ImageScores
    panels: dict[str, tuple[Path, dict[str, float]]] = field(default_factory=dict)


class Pictures:
    """The pictures of a set of images, kept in a folder until the page is written."""

    def __init__(self, folder: Path, task: str) -> None:
        """Start without pictures.

        Args:
            folder: A folder for files until then.
            task: The task that the pictures show and that orders the page.
        """
        self._folder, self._task = folder, task
        self._shown: dict[str, _Shown] = {}

    def add(
        self,
        model: str,
        row: ImageScores,
        image: Array,
        truth: Labels2D,
        compared: Mapping[str, Comparison],
    ) -> None:
        """Draw what a model found in an image; nothing if the image has no such task.

        Args:
            model: The model's name.
            row: The image's row of the model's report.
            image: The image.
            truth: Its true labels.
            compared: What was found, by task.
        """
        from PIL import Image

        if self._task not in compared:
            return
        shown = self._shown.setdefault(row["image"], _Shown(row))
        number = list(self._shown).index(row["image"])
        path = self._folder / f"{number:04d}-{len(shown.panels)}.png"
        Image.fromarray(draw_panel(image, truth, compared[self._task].labels)).save(path)
        shown.panels[model] = path, row["scores"][self._task]

    def write(self, output: Path, *, force: bool) -> None:
        """Write the page.

        Args:
            output: The folder to make.
            force: Replace an older page.

        Raises:
            OutputExistsError: ``output`` exists and is not to be replaced.
            StorageError: The disk is full or the folder cannot be written.
        """
        ordered = sorted(self._shown.values(), key=_mean_score)

        def fill(folder: Path) -> None:
            for shown in ordered:
                for path, _ in shown.panels.values():
                    shutil.copyfile(path, folder / path.name)
            head = (
                f"<h1>{TITLE}</h1>\n<p>{_legend(self._task)} The worst twelve: "
                f'<a href="{SHEET}">{SHEET}</a></p>'
            )
            body = "\n".join([head, *(_figures(shown) for shown in ordered)])
            write_bytes(folder / "index.html", html_page(TITLE, body, style=STYLE))
            _sheet(ordered[:IN_SHEET]).save(folder / SHEET)
            write_json(folder / MARKER, {"task": self._task, "images": len(ordered)})

        write_folder(output, fill, force=force)


def _mean_score(shown: _Shown) -> float:
    return float(np.mean([scores["msa"] for _, scores in shown.panels.values()]))


def _legend(task: str) -> str:
    names = {"the truth": TRUTH, f"what the model found ({task})": FOUND, "both": BOTH}
    parts = [
        f'<span style="color: rgb{colour}">{html.escape(name)}</span>'
        for name, colour in names.items()
    ]
    return f"Outlines: {', '.join(parts)}. Filled: no partner with an IoU of at least 0.50."


def _figures(shown: _Shown) -> str:
    row = shown.row
    facts = [f"{row['n_objects']} objects", *(row[key] for key in ("group", "stratum") if row[key])]
    figures = [
        f'<figure><img src="{path.name}" alt="Outlines of truth and prediction">'
        f"<figcaption>{html.escape(model)}: "
        f"{', '.join(f'{name} {scores[name]:.3f}' for name in METRICS)}</figcaption></figure>"
        for model, (path, scores) in shown.panels.items()
    ]
    title = html.escape(f"{Path(row['image']).name} ({', '.join(facts)})")
    return f'<h2>{title}</h2>\n<div class="row">{"".join(figures)}</div>'


def _sheet(ordered: Sequence[_Shown]) -> Any:
    """Draw the pictures of a few images in rows, with captions."""
    from PIL import Image, ImageDraw

    tiles: list[tuple[str, Any]] = []
    for shown in ordered:
        for model, (path, scores) in shown.panels.items():
            name = f"{Path(shown.row['image']).name}  {model}  msa {scores['msa']:.3f}"
            with Image.open(path) as file:
                file.thumbnail((TILE, TILE))
                tiles.append((name, file.copy()))
    models = max((len(shown.panels) for shown in ordered), default=1)
    across = models * max(1, 4 // models)
    lines = [tiles[start : start + across] for start in range(0, len(tiles), across)]
    heights = [CAPTION + GAP + max(tile.height for _, tile in line) for line in lines]
    size = (across * (TILE + GAP), max(CAPTION, sum(heights)))
    sheet = Image.new("RGB", size, (17, 17, 17))
    drawing, y = ImageDraw.Draw(sheet), 0
    for line, height in zip(lines, heights, strict=True):
        for place, (name, tile) in enumerate(line):
            x = place * (TILE + GAP)
            drawing.text((x + 2, y + 2), _fitting(name, drawing, TILE), fill=(238, 238, 238))
            sheet.paste(tile, (x, y + CAPTION))
        y += height
    return sheet


def _fitting(text: str, drawing: Any, width: int) -> str:
    """Cut the front of a text off until it fits; the score is at its end."""
    while drawing.textlength(text) > width:
        text = text[2:]
    return text
