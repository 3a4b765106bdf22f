"""How often the notes on the wrong kind of image come, with right results and with wrong ones.

    python benchmarks/doubts.py DATA [--split test] [--limit N]

DATA is a folder with ``images``, ``labels`` and ``split.csv`` (columns ``file`` and ``split``). The
script segments each image with the default model, and prints how many get which note, and how many
of those without and with a note have a Dice score above 0.7.
"""

from __future__ import annotations

import argparse
import csv
from collections import Counter
from pathlib import Path

import numpy as np

from samzoo.runtime import read_image, read_labels
from samzoo.zoo import load

GOOD = 0.7
"""Dice score of foreground from which a result counts as right."""

KINDS = {
    "the background is": "background",
    "the image has colours": "colours",
    "saturated": "saturated",
    "no object was found": "no object",
    "could divide only": "undivided",
    "have a diameter of": "size",
}
"""A part of each sentence, and its column."""


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, default=None)
    options = parser.parse_args()
    with (options.data / "split.csv").open(newline="") as file:
        names = [row["file"] for row in csv.DictReader(file) if row["split"] == options.split]
    model, found = load(), Counter[str]()
    for name in names[: options.limit]:
        labels = read_labels(options.data / "labels" / f"{Path(name).stem}.tif") > 0
        notes: list[str] = []
        result = model.segment(read_image(options.data / "images" / name), notes=notes) > 0
        dice = 2 * np.count_nonzero(labels & result) / max(labels.sum() + result.sum(), 1)
        told = {kind for part, kind in KINDS.items() for note in notes if part in note}
        found.update(told)
        verdict = "right" if dice > GOOD else "wrong"
        found[f"{verdict}, {'a note' if told else 'no note'}"] += 1
    for kind, count in sorted(found.items()):
        print(f"| {kind} | {count} |")


if __name__ == "__main__":
    main()
