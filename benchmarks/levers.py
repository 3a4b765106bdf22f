"""What could make the automatic segmentation faster: CPU seconds a megapixel and mSA, by lever.

    python benchmarks/levers.py [--rounds 3] [--int8 PACKAGE] [--image FILE --labels FILE]

All levers run in turn in one process, once a round, so that their ratios mean something on a busy
machine; seconds are those of the processor in user mode, over all threads. By default it takes the
validation and the test quadrant of the annotated image. ``--int8`` names a package of the same
model that ``samzoo export --precision int8`` made. The script needs samzoo.
"""

from __future__ import annotations

import argparse
import os
from statistics import median
from typing import Any

from annotated_quadrants import add_images, chosen_images

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.engine.object_scale import trained_diameter
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.model import Model
from samzoo.zoo import load

HALOS = (16, 8, 0)
SCALES = (1.25, 1.0, 0.75)
AVERAGES = (2, 4)


def levers(model: Model, int8: str | None) -> dict[str, tuple[Model, dict[str, Any]]]:
    """Return a model and options of ``segment`` by name."""
    found: dict[str, tuple[Model, dict[str, Any]]] = {"as it is": (model, {})}
    found |= {f"halo {halo}": (model, {"halo": (halo, halo)}) for halo in HALOS}
    trained = trained_diameter(model.config)
    if trained is not None:
        for scale in SCALES:
            found[f"scale {scale:g}"] = (model, {"diameter": trained / scale})
    if int8 is not None:
        found["int8"] = (load(int8), {})
    return found | {f"average {count}": (model, {"average": count}) for count in AVERAGES}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nuclei-vit-t")
    parser.add_argument("--int8", metavar="PACKAGE")
    parser.add_argument("--rounds", type=int, default=3)
    add_images(parser)
    options = parser.parse_args()
    chosen = levers(load(options.model), options.int8)
    print("| image | lever | tiles | CPU s a Mpixel | ratio | mSA |\n|---|---|---|---|---|---|")
    for path, truth in chosen_images(options):
        image, labels = read_image(path), read_labels(truth)
        for model, more in chosen.values():  # graphs are prepared before time is taken
            model.segment(image[:16, :16], **{k: v for k, v in more.items() if k != "halo"})
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        tiles: dict[str, int] = {}
        scores: dict[str, float] = {}
        for _ in range(options.rounds):
            for name, (model, more) in chosen.items():
                calls: list[int] = []
                start = os.times().user
                found = model.segment(
                    image, progress=lambda *at, to=calls: to.append(at[2]), **more
                )
                seconds[name].append(os.times().user - start)
                tiles[name] = calls[-1] if calls else 0
                scores[name] = mean_segmentation_accuracy(found, labels)["msa"]
        first = median(seconds["as it is"])
        for name, each in seconds.items():
            rate = median(each) / (image.shape[0] * image.shape[1] / 1e6)
            row = f"{tiles[name]} | {rate:.1f} | {median(each) / first:.2f} | {scores[name]:.3f}"
            print(f"| {path.stem} | {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
