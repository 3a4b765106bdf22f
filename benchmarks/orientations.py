"""How much labels depend on how an image lies: mSA over its eight orientations, by average.

    python benchmarks/orientations.py [--model REF] [--image FILE --labels FILE] [--diameter PX]

By default it takes the validation and the test quadrant of the annotated image. The maps of all
eight orientations are computed once. Averages over other pairs and fours that are closed under
themselves are shown, too: the choice of ``--average`` was made with this table. The script needs
samzoo. It assumes that the tiles of a turned image are the turned tiles, as they are for squares.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from annotated_quadrants import add_images, chosen_images
from numpy.typing import NDArray

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.automatic.ais import segment_from_maps
from samzoo.runtime.automatic.maps import ORIENTATIONS
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.labels.views import upright, view
from samzoo.zoo import load

Way = tuple[bool, int]

GROUPS: dict[str, Sequence[Way]] = {
    "1": ORIENTATIONS[1],
    "2: turned by 180 degrees": [(False, 0), (False, 2)],
    "2: mirrored": [(False, 0), (True, 0)],
    "2: transposed (--average 2)": ORIENTATIONS[2],
    "4: mirrored both ways": [(False, 0), (False, 2), (True, 0), (True, 2)],
    "4: transposed both ways": [(False, 0), (False, 2), (True, 1), (True, 3)],
    "4: turned (--average 4)": ORIENTATIONS[4],
    "8 (--average 8)": ORIENTATIONS[8],
}


def after(seen: Way, way: Way) -> Way:
    """Return the single way that lays an array as ``way`` and then ``seen`` do."""
    marks = np.arange(6).reshape(2, 3)
    twice = lay(lay(marks, way), seen)
    return next(one for one in ORIENTATIONS[8] if np.array_equal(lay(marks, one), twice))


def lay(array: NDArray[Any], way: Way) -> NDArray[Any]:
    """Return ``view`` of a way."""
    return view(array, mirrored=way[0], turns=way[1])


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nuclei-vit-t")
    add_images(parser)
    parser.add_argument("--diameter", type=float)
    options = parser.parse_args()
    model = load(options.model).for_objects(options.diameter)
    print("| image | average over | mSA as it lies | mean | range |\n|---|---|---|---|---|")
    for path, truth in chosen_images(options):
        image, labels = read_image(path), read_labels(truth)
        ways, maps = ORIENTATIONS[8], {}
        for way in ways:
            found = model.ais_maps(model.embed_tiles(lay(image, way)))
            maps[way] = upright(found, mirrored=way[0], turns=way[1])
        for name, group in GROUPS.items():
            scores = []
            for way in ways:
                mean = np.mean([maps[after(seen, way)] for seen in group], axis=0)
                found = segment_from_maps(*mean, parameters=model.config.ais)
                scores.append(mean_segmentation_accuracy(found, labels)["msa"])
            row = f"{scores[0]:.3f} | {np.mean(scores):.3f} | {np.ptp(scores):.3f}"
            print(f"| {path.stem} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
