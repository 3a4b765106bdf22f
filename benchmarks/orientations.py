"""How much labels depend on how an image lies: mSA over its eight orientations, by average.

    python benchmarks/orientations.py [--model REF] [--image FILE --labels FILE] [--diameter PX]

By default it takes the validation and the test quadrant of the annotated image. The maps of all
eight orientations are computed once. Averages over other pairs and fours that are closed under
themselves are shown, too: the choice of ``--average`` was made with this table. The script needs
samzoo. It assumes that the tiles of a turned image are the turned tiles, as they are for squares.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.zoo import load

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
DEFAULT = (("val", "bottom_left"), ("test", "bottom_right"))

GROUPS = {
    "1": [(False, 0)],
    "2: turned by 180 degrees": [(False, 0), (False, 2)],
    "2: mirrored": [(False, 0), (True, 0)],
    "2: transposed (--average 2)": [(False, 0), (True, 1)],
    "4: mirrored both ways": [(False, 0), (False, 2), (True, 0), (True, 2)],
    "4: transposed both ways": [(False, 0), (False, 2), (True, 1), (True, 3)],
    "4: turned (--average 4)": [(False, turns) for turns in range(4)],
    "8 (--average 8)": [(mirrored, turns) for mirrored in (False, True) for turns in range(4)],
}

Maps = NDArray[np.float32]
Way = tuple[bool, int]


def lay(array: NDArray[np.generic], way: Way) -> NDArray[np.generic]:
    """Mirror an array or not, and turn it; the last two axes are rows and columns."""
    mirrored, turns = way
    return np.rot90(array[..., ::-1] if mirrored else array, turns, (-2, -1))


def back(maps: Maps, way: Way) -> Maps:
    """Undo ``lay``."""
    mirrored, turns = way
    turned = np.rot90(maps, -turns, (-2, -1))
    return turned[..., ::-1] if mirrored else turned


def after(view: Way, way: Way) -> Way:
    """Return the single way that lays an array as ``way`` and then ``view`` do."""
    marks = np.arange(6).reshape(2, 3)
    twice = lay(lay(marks, way), view)
    return next(one for one in GROUPS["8 (--average 8)"] if np.array_equal(lay(marks, one), twice))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nuclei-vit-t")
    parser.add_argument("--image", type=Path)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--diameter", type=float)
    options = parser.parse_args()
    pairs = [(options.image, options.labels)]
    if options.image is None:
        pairs = [
            (EXAMPLES / part / "images" / f"{name}.tif", EXAMPLES / part / "labels" / f"{name}.tif")
            for part, name in DEFAULT
        ]
    model = load(options.model).for_objects(options.diameter)
    print("| image | average over | mSA as it lies | mean | range |\n|---|---|---|---|---|")
    for path, truth in pairs:
        image, labels = read_image(path), read_labels(truth)
        ways = GROUPS["8 (--average 8)"]
        maps = {way: back(model.ais_maps(model.embed_tiles(lay(image, way))), way) for way in ways}
        for name, views in GROUPS.items():
            scores = []
            for way in ways:
                mean = np.mean([maps[after(view, way)] for view in views], axis=0)
                found = segment_from_maps(*mean, parameters=model.config.ais)
                scores.append(mean_segmentation_accuracy(found, labels)["msa"])
            row = f"{scores[0]:.3f} | {np.mean(scores):.3f} | {np.ptp(scores):.3f}"
            print(f"| {path.stem} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
