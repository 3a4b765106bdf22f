"""Segment a folder of images; an interrupted call can be resumed.

    python examples/batch.py examples/test/images out [--model REF] [--provider NAME]

Writes `out/labels/NAME.tif`, `out/overlays/NAME.png`, and `out/counts.csv` with one row per image:
the number of objects, their median area, and the share of the image that they cover. Images that
already have labels are not segmented again. Images that cannot be read are reported and left out;
the exit code is then 1.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from samzoo.runtime import SamzooError, read_image, read_labels, write_labels, write_overlay
from samzoo.zoo import DEFAULT_MODEL, load

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg")


def main() -> int:
    """Segment the images without labels, then count the objects in all images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, help="folder of images")
    parser.add_argument("output", type=Path, help="folder for the results, created if missing")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="model name or package folder")
    parser.add_argument("--provider", default="cpu", help="hardware to run on, such as cuda")
    options = parser.parse_args()
    paths = sorted(p for p in options.images.iterdir() if p.suffix.lower() in SUFFIXES)
    if len({path.stem for path in paths}) < len(paths):
        sys.exit(f"{options.images}: the names of two images differ only in the suffix; rename one")
    model = load(options.model, provider=options.provider)
    rows, failed = [], 0
    for index, path in enumerate(paths):
        labels_path = options.output / "labels" / f"{path.stem}.tif"
        try:
            if not labels_path.exists():
                print(f"{index + 1}/{len(paths)} {path.name}", file=sys.stderr, flush=True)
                image = read_image(path)
                labels = model.segment(image, progress=show)
                write_overlay(options.output / "overlays" / f"{path.stem}.png", image, labels)
                write_labels(labels_path, labels)  # last, so an image with labels is complete
            rows.append({"image": path.name, **count(read_labels(labels_path))})
        except SamzooError as error:
            print(f"left out: {error}", file=sys.stderr)
            failed += 1
    table = options.output / "counts.csv"
    options.output.mkdir(parents=True, exist_ok=True)
    with table.open("w", newline="", encoding="utf-8") as file:
        fields = ("image", "objects", "median_area", "covered")
        writer = csv.DictWriter(file, fields)
        writer.writeheader()
        writer.writerows(rows)
    print(table)
    return 1 if failed else 0


def show(stage: str, done: int, total: int) -> None:
    """Print the progress over the tiles of a large image."""
    if total > 1:
        print(f"  {stage} {done}/{total}", file=sys.stderr, flush=True)


def count(labels: np.ndarray) -> dict[str, float]:
    """Count objects; areas are in pixels, `covered` is a share of the image."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return {
        "objects": int(areas.size),
        "median_area": float(np.median(areas)) if areas.size else 0.0,
        "covered": round(float(areas.sum() / labels.size), 4),
    }


if __name__ == "__main__":
    sys.exit(main())
