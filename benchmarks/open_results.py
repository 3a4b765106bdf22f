"""The pictures of docs/open-results.md, from the files that other programs open.

    python benchmarks/open_results.py docs/pictures

It segments examples/nuclei.tif with the default model and draws each file as its reader does: the
labels by the look-up table and display range in the TIFF, as ImageJ; the ROIs as roifile reads
them; the polygons of the GeoJSON. They are drawings, not photographs of a screen.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import roifile
import tifffile
from PIL import Image, ImageDraw

from samzoo.runtime import read_image, segment_file
from samzoo.runtime.images.overlay import visible
from samzoo.zoo import load

IMAGE = Path(__file__).resolve().parents[1] / "examples" / "nuclei.tif"
ENLARGED, SHOWN = 3, 110
"""How much larger a pixel is drawn, and how many rows and columns of the image are."""


def main() -> None:
    """Write ``fiji-labels.png``, ``fiji-rois.png`` and ``qupath.png``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        labels = Path(place) / "labels.tif"
        segment_file(load(), IMAGE, labels, outlines=["imagej", "geojson"])
        lines = _rois(labels.with_name("labels_rois.zip"))
        pictures = {
            "fiji-labels": _enlarged(_by_table(labels)),
            "fiji-rois": _lines(lines, (255, 255, 0)),
            "qupath": _lines(_polygons(labels.with_name("labels.geojson")), (230, 159, 0)),
        }
    for name, picture in pictures.items():
        side = SHOWN * ENLARGED
        picture.crop((0, 0, side, side)).quantize(64).save(folder / f"{name}.png", optimize=True)


def _by_table(path: Path) -> np.ndarray:
    """Return the colours in which ImageJ shows a file: 256 over the display range."""
    with tifffile.TiffFile(path) as file:
        values, told = file.asarray().astype(float), file.imagej_metadata
        table = file.pages.first.colormap
    index = (values - told["min"]) * 256 / (told["max"] - told["min"] + 1)
    return (table[:, np.clip(index, 0, 255).astype(int)] >> 8).astype(np.uint8).transpose(1, 2, 0)


def _rois(path: Path) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    for roi in roifile.roiread(path):
        parts = roi.coordinates(multi=True)
        found += parts if isinstance(parts, list) else [parts]
    return found


def _polygons(path: Path) -> list[np.ndarray]:
    features = json.loads(path.read_text(encoding="utf-8"))["features"]
    geometries = [each["geometry"] for each in features]
    return [
        np.array(ring)
        for each in geometries
        for polygon in ([each["coordinates"]] if each["type"] == "Polygon" else each["coordinates"])
        for ring in polygon
    ]


def _lines(rings: list[np.ndarray], colour: tuple[int, int, int]) -> Image.Image:
    pixels = visible(read_image(IMAGE)).astype(np.uint8)
    picture = _enlarged(pixels).convert("RGB")
    draw = ImageDraw.Draw(picture)
    for ring in rings:
        points = [tuple(each) for each in (np.concatenate([ring, ring[:1]]) * ENLARGED).tolist()]
        draw.line(points, fill=colour)
    return picture


def _enlarged(pixels: np.ndarray) -> Image.Image:
    height, width = pixels.shape[:2]
    size = (width * ENLARGED, height * ENLARGED)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)


if __name__ == "__main__":
    main()
