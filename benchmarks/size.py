"""How well the size of objects is estimated, and what that is worth.

    python benchmarks/size.py DATA [--split val] [--limit N] [--image NAME]
        [--study IMAGE LABELS PLANE]...

DATA is a folder with ``images``, ``labels`` and ``split.csv`` (columns ``file``, ``split`` and
``group``). The script prints, for the default model:

1. the estimated diameter against the true median of each image, the tiles that the estimate takes
   and those of the segmentation, and mSA at the model's own scale and at the estimated one;
2. mSA of one image at 0.5 to 2 times its size, compared at its own size;
3. mSA of planes of other images (``--study``), with their labels.

``--limit`` takes that many images, of as many groups as there are.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.automatic.ais import remove_small
from samzoo.runtime.engine.encoding import choose_tiles
from samzoo.runtime.engine.object_scale import ObjectScale
from samzoo.runtime.evaluation.comparison import Comparison, scores_of
from samzoo.runtime.evaluation.scoring import MIN_OBJECT_SIZE
from samzoo.runtime.formats.arrays import Array, Labels2D
from samzoo.runtime.images.geometry import resize_labels
from samzoo.runtime.images.label_arrays import check_labels, median_object_diameter, object_areas
from samzoo.runtime.model import Model
from samzoo.zoo import load

FACTORS = (0.5, 0.7, 1.0, 1.4, 2.0)
CLOSE = 0.15


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, default=None)
    parser.add_argument("--image", help="the image at several sizes (default: the first)")
    parser.add_argument("--no-scores", action="store_true", help="estimate only")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument(
        "--study", nargs=3, action="append", default=[], metavar=("IMAGE", "LABELS", "PLANE")
    )
    options = parser.parse_args()
    model = load(threads=options.threads)
    names = chosen(options.data, options.split, options.limit)
    if names:
        estimates(model, options.data, names, scored=not options.no_scores)
    if names and not options.no_scores:
        sizes(model, *opened(options.data, options.image or names[0][0]))
    for image, labels, plane in options.study:
        study(model, Path(image), Path(labels), int(plane))


def chosen(data: Path, split: str, limit: int | None) -> list[tuple[str, str]]:
    """Return files and their groups; the first ones are of different groups."""
    with (data / "split.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    seen: dict[str, int] = defaultdict(int)
    ranked = []
    for row in rows:
        ranked.append((seen[row["group"]], row["file"], row["group"]))
        seen[row["group"]] += 1
    return [(name, group) for _, name, group in sorted(ranked)[:limit]]


def opened(data: Path, name: str) -> tuple[Array, Labels2D]:
    """Read an image and its labels."""
    labels = read_labels(data / "labels" / f"{Path(name).stem}.tif")
    return read_image(data / "images" / name), labels


def estimates(model: Model, data: Path, names: list[tuple[str, str]], *, scored: bool) -> None:
    """Print the estimate of each image, and the share that is close to the truth."""
    print("| image | group | true | estimate | error | tiles | of | mSA own | mSA auto |")
    print("|---|---|---|---|---|---|---|---|---|")
    errors, tiles, scores = defaultdict(list), [], []
    for name, group in names:
        image, labels = opened(data, name)
        true = median_object_diameter(object_areas(labels))
        scale, looked = estimated(model, image)
        size = (image.shape[0], image.shape[1])
        cut = len(choose_tiles(model.for_objects(scale.changed).config, size, None, None))
        error = (scale.diameter or 0.0) / true - 1 if scale.changed else float("nan")
        errors[group].append(abs(error) <= CLOSE)
        tiles.append((looked, cut))
        row = [float("nan")] * 2
        if scored:
            row = [msa(model.segment(image, diameter=d), labels) for d in ("own", scale.changed)]
            scores.append((group, *row))
        print(
            f"| {name[:8]} | {group} | {true:.1f} | {scale.diameter:.1f} ({scale.origin}) "
            f"| {error:+.0%} | {looked} | {cut} | {row[0]:.3f} | {row[1]:.3f} |",
            flush=True,
        )
    close = [each for group in errors.values() for each in group]
    by_group = np.mean([np.mean(group) for group in errors.values()])
    looked, cut = np.sum(tiles, axis=0)
    print(f"within {CLOSE:.0%}: {np.mean(close):.0%} of {len(close)} images, ", end="")
    print(f"{by_group:.0%} as the mean of {len(errors)} groups; tiles: {looked} of {cut}")
    if scores:
        groups = {group for group, *_ in scores}
        for index, kind in ((1, "own"), (2, "auto")):
            means = [np.mean([s[index] for s in scores if s[0] == group]) for group in groups]
            print(f"mSA {kind}: {np.mean([s[index] for s in scores]):.3f}, ", end="")
            print(f"as the mean of groups {np.mean(means):.3f}")


def estimated(model: Model, image: Array) -> tuple[ObjectScale, int]:
    """Return the estimate, and the number of tiles that it took."""
    seen: list[int] = []
    scale = model.object_scale(image, progress=lambda stage, done, total: seen.append(done))
    return scale, len(seen)


def sizes(model: Model, image: Array, labels: Labels2D) -> None:
    """Print what becomes of one image at several sizes."""
    print("| size | estimate | mSA own | mSA auto |")
    print("|---|---|---|---|")
    for factor in FACTORS:
        height, width = (round(side * factor) for side in image.shape[:2])
        picture = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        resized = np.asarray(picture)
        scale, _ = estimated(model, resized)
        row = [
            msa(resize_labels(model.segment(resized, diameter=d), labels.shape), labels)
            for d in ("own", scale.changed)
        ]
        print(f"| {factor} | {scale.line()} | {row[0]:.3f} | {row[1]:.3f} |", flush=True)


def study(model: Model, image: Path, labels: Path, plane: int) -> None:
    """Print what the estimate is worth on a plane of other images."""
    planes, truths = (tifffile.imread(path) for path in (image, labels))
    pixels = planes.reshape(-1, *planes.shape[-2:])[plane]
    truth = check_labels(truths.reshape(-1, *truths.shape[-2:])[plane])
    true = median_object_diameter(object_areas(truth))
    scale, looked = estimated(model, pixels)
    own, auto, given = (
        msa(model.segment(pixels, diameter=d), truth) for d in ("own", scale.changed, true)
    )
    print(
        f"{image.name}, plane {plane}: true {true:.1f}, {scale.line()}, {looked} tiles; mSA own "
        f"{own:.3f}, auto {auto:.3f}, true diameter given {given:.3f}",
        flush=True,
    )


def msa(found: Labels2D, truth: Labels2D) -> float:
    """Return the mSA of an automatic segmentation."""
    return float(scores_of(Comparison(found, remove_small(truth, MIN_OBJECT_SIZE)))["msa"])


if __name__ == "__main__":
    main()
