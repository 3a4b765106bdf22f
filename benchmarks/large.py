"""Images of any size: seconds and memory by side, and the effect of the choice of tiles.

    python benchmarks/large.py [--sides 1000 2000 4000] [--model REF] [--work WORK]
    python benchmarks/large.py --seams [--simulate nuclei 50] [--side 2048] [--placements 3] [...]

The picture is the annotated image of nuclei, 512 pixels wide, repeated. Each run is a process of
its own, whose largest resident memory the system reports. ``--seams`` segments one picture with
three shapes of model tiles, and counts the objects without a partner in the labels of the first
shape, at an IoU of 0.5 and 0.9. ``--simulate`` draws nuclei instead, whose truth is known, so that
errors at seams can be told from errors of the model. The script needs SciPy and samzoo. A side of
4000 takes ten minutes on two cores with AVX-512, and 25 without.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile
from simulated_nuclei import SIMULATORS

from samzoo.runtime import read_image
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

QUADRANTS = (
    ("train/images/top_left.tif", "train/images/top_right.tif"),
    ("val/images/bottom_left.tif", "test/images/bottom_right.tif"),
)
"""The quadrants of the annotated image, which has 512 x 512 pixels and 136 nuclei."""

SHAPES = {
    "default": [],
    "square": ["--tile-shape", "96", "96", "--halo", "37", "37"],
    "wide": ["--tile-shape", "80", "128", "--halo", "21", "21"],
}
"""Options by name. The shipped model sees 170 pixels at once."""

EQUAL_TILES = str(Path(__file__).parent / "equal_tiles.py")

PROGRAM = """
import resource, sys
from samzoo.zoo.cli import main
status = main(sys.argv[1:])
print("PEAK", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
sys.exit(status)
"""


def picture(side: int, work: Path) -> Path:
    """Write the annotated image, repeated to ``side`` by ``side`` pixels, uncompressed."""
    path = work / f"nuclei-{side}.tif"
    if not path.exists():
        top, bottom = ([read_image(EXAMPLES / name) for name in row] for row in QUADRANTS)
        tile = np.block([top, bottom])
        work.mkdir(parents=True, exist_ok=True)
        out = tifffile.memmap(path, shape=(side, side), dtype=tile.dtype, bigtiff=True)
        for y in range(0, side, tile.shape[0]):
            for x in range(0, side, tile.shape[1]):
                part = out[y : y + tile.shape[0], x : x + tile.shape[1]]
                part[:] = tile[: part.shape[0], : part.shape[1]]
        out.flush()
    return path


def simulated(kind: str, side: int, spacing: int, work: Path) -> Path:
    """Write an image of simulated nuclei and, beside it, their labels."""
    path = work / f"{kind}-{spacing}-{side}.tif"
    work.mkdir(parents=True, exist_ok=True)
    image, labels = SIMULATORS[kind](side, spacing)
    tifffile.imwrite(path, image)
    tifffile.imwrite(truth_of(path), labels)
    return path


def truth_of(image: Path) -> Path:
    """Return the path of a simulated image's labels; other images have no such file."""
    return image.with_suffix(".truth.tif")


def run(image: Path, output: Path, *options: str) -> tuple[float, float, int]:
    """Segment in a new process; return seconds, peak MB and the number of objects."""
    start = time.perf_counter()
    result, peak = segment(["-c", PROGRAM], image, output, options).splitlines()
    seconds = time.perf_counter() - start
    return seconds, int(peak.split()[1]) / 1024, json.loads(result)["images"][0]["objects"]


def segment(program: list[str], image: Path, output: Path, options: Sequence[str]) -> str:
    """Segment in a new process; return what it prints."""
    command = [
        sys.executable, *program, "segment", str(image), "-o", str(output), "--force", "--json",
        "--level", "0", *options,
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def by_side(sides: list[int], model: list[str], work: Path) -> None:
    """Print a table of time and memory."""
    print("| side | seconds | seconds a Mpixel | peak MB | objects |\n|---|---|---|---|---|")
    for side in sides:
        seconds, peak, objects = run(picture(side, work), work / f"labels-{side}.tif", *model)
        rate = seconds / (side * side / 1e6)
        print(f"| {side} | {seconds:.0f} | {rate:.2f} | {peak:.0f} | {objects} |", flush=True)


def by_shape(image: Path, model: list[str], work: Path) -> None:
    """Print a table of how much objects differ from those of the default tiles.

    Maps of equal tiles are computed once and kept in ``work`` for the next call.
    """
    program = [EQUAL_TILES, str(work / "maps")]
    print("| tiles | objects | none at IoU 0.5 | none at 0.9 | pixels that differ | SA50 |")
    print("|---|---|---|---|---|---|")
    first = None
    known = tifffile.imread(truth_of(image)) if truth_of(image).exists() else None
    for name, options in SHAPES.items():
        output = work / f"seams-{name}.tif"
        segment(program, image, output, [*options, *model])
        labels = tifffile.imread(output)
        first = labels if first is None else first
        half, close = (alone(first, labels, least) for least in (0.5, 0.9))
        moved = float(((first > 0) != (labels > 0)).mean())
        sa50 = (
            f"{mean_segmentation_accuracy(labels, known)['sa50']:.3f}" if known is not None else ""
        )
        row = f"| {name} | {labels.max()} | {half:.2%} | {close:.2%} | {moved:.2%} | {sa50} |"
        print(row, flush=True)


def alone(a: np.ndarray, b: np.ndarray, least: float) -> float:
    """Return the fraction of both images' objects without a partner of at least that IoU."""
    both = (a > 0) & (b > 0)
    pairs, overlap = np.unique(
        a[both].astype(np.int64) << 32 | b[both].astype(np.int64), return_counts=True
    )
    area_a, area_b = np.bincount(a.ravel()), np.bincount(b.ravel())
    union = area_a[pairs >> 32] + area_b[pairs & (2**32 - 1)] - overlap
    shared = int((overlap / union >= least).sum())
    return 1 - 2 * shared / (int(a.max()) + int(b.max()))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 2000, 4000])
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--seams", action="store_true")
    parser.add_argument(
        "--simulate", nargs=2, metavar=("KIND", "SPACING"), help="with --seams: nuclei or ellipses"
    )
    parser.add_argument("--placements", type=int, default=1, help="of the tiles")
    parser.add_argument("--model", default="nuclei-vit-t")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "samzoo-large")
    options = parser.parse_args()
    model = ["--model", options.model, "--placements", str(options.placements)]
    if options.seams:
        if options.simulate:
            kind, spacing = options.simulate
            image = simulated(kind, options.side, int(spacing), options.work)
        else:
            image = picture(options.side, options.work)
        by_shape(image, model, options.work)
    else:
        by_side(options.sides, model, options.work)


if __name__ == "__main__":
    main()
