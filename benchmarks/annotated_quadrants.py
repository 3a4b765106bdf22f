"""The annotated images that several benchmarks segment: the command line's, or the example's."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
QUADRANTS = (("val", "bottom_left"), ("test", "bottom_right"))
"""The quadrants of the example that no model was trained on."""


def add_images(parser: ArgumentParser) -> None:
    """Add ``--image`` and ``--labels``."""
    parser.add_argument("--image", type=Path)
    parser.add_argument("--labels", type=Path)


def chosen_images(options: Namespace) -> list[tuple[Path, Path]]:
    """Return the image and the label image of the command line, or those of both quadrants."""
    if options.image is not None:
        return [(options.image, options.labels)]
    return [
        (EXAMPLES / part / "images" / f"{name}.tif", EXAMPLES / part / "labels" / f"{name}.tif")
        for part, name in QUADRANTS
    ]
