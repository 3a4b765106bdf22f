"""What a second point, a point beside a box, and corrections do to a mask.

    python benchmarks/several_points.py MODEL [--like PACKAGE] [--every 2] [--seeds 1]

MODEL is a package, or a base or model folder, which takes the preprocessing of ``--like``. The
script prints mean Dice over objects of the validation quadrant. It needs the `train` extra for
folders that are no packages.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime import load, read_image, read_labels
from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.evaluation.metrics import binary_dice
from samzoo.runtime.evaluation.prompt_simulation import (
    correction_points,
    object_boxes,
    object_centers,
    random_points,
)
from samzoo.runtime.model import Model

EXAMPLES = Path(__file__).parent.parent / "examples"
MIN_PIXELS = 20
CORRECTIONS = 3


def main() -> None:
    """Print one row for each way to prompt."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--like", type=Path)
    parser.add_argument("--every", type=int, default=2, help="take every so many objects")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    image = read_image(EXAMPLES / "val/images/bottom_left.tif")
    labels = read_labels(EXAMPLES / "val/labels/bottom_left.tif")
    ids = [i for i in np.unique(labels) if i > 0 and (labels == i).sum() >= MIN_PIXELS]
    model = opened(options.model, options.like)
    embedding = model.embed(image)
    found: dict[str, list[float]] = {}
    for seed in range(options.seeds):
        for name, dice in dices(model, embedding, labels, ids[:: options.every], seed):
            found.setdefault(name, []).append(dice)
    print("| prompts | Dice |\n|---|---|")
    for name, values in found.items():
        print(f"| {name} | {np.mean(values):.3f} |")


def opened(folder: Path, like: Path | None) -> Model:
    """Open a package, or a base with the preprocessing of a package."""
    if (folder / "samzoo.json").is_file():
        return load(folder)
    from samzoo.training import TorchNetworks, load_sam

    sam = load_sam(folder)
    if like is not None:
        seen = load(like).config.preprocessing
        sam.config = dataclasses.replace(sam.config, preprocessing=seen)
    return Model(sam.config, RememberedEncoder(TorchNetworks(sam)))


def dices(
    model: Model, embedding: Any, labels: Any, ids: list[int], seed: int
) -> Iterator[tuple[str, float]]:
    """Prompt in all ways; yields a name and the mean Dice."""
    truths = np.stack([labels == i for i in ids])
    centers, boxes = object_centers(labels, ids)[:, None], object_boxes(labels, ids)
    rng = np.random.default_rng(seed)
    inside = np.stack([random_points(truth, 3, rng) for truth in truths])
    beside = np.stack([correction_points(truth, truth, rng)[0][1:] for truth in truths])

    def prompted(points: Any, marks: Any, *, box: bool, mask: Any = None) -> tuple[Any, Any]:
        some = points.shape[1] > 0
        masks, _, logits = model.prompt(
            embedding,
            points=points if some else None,
            point_labels=marks if some else None,
            boxes=boxes if box else None,
            mask_input=mask,
        )
        return masks, logits

    def score(masks: Any) -> float:
        return float(np.mean([binary_dice(m, t) for m, t in zip(masks, truths, strict=True)]))

    for count in (1, 2, 3):
        points = np.concatenate([centers, inside[:, : count - 1]], axis=1)
        masks, _ = prompted(points, np.ones(points.shape[:2]), box=False)
        yield f"{count} points", score(masks)
    points = np.concatenate([centers, beside], axis=1)
    masks, _ = prompted(points, np.tile([1, 0], (len(ids), 1)), box=False)
    yield "1 point and 1 negative beside the object", score(masks)
    for count in (0, 1, 2, 3):
        points = inside[:, :count]
        masks, _ = prompted(points, np.ones(points.shape[:2]), box=True)
        yield f"box and {count} points", score(masks)
    for box in (False, True):
        for fed_back in (False, True):
            drawn = np.random.default_rng([seed, 5])
            points = centers[:, :0] if box else centers
            marks = np.ones(points.shape[:2])
            masks, logits = prompted(points, marks, box=box)
            for number in range(1, CORRECTIONS + 1):
                added = [correction_points(t, m, drawn) for t, m in zip(truths, masks, strict=True)]
                points = np.concatenate([points, np.stack([p for p, _ in added])], axis=1)
                marks = np.concatenate([marks, np.stack([m for _, m in added])], axis=1)
                masks, logits = prompted(points, marks, box=box, mask=logits if fed_back else None)
                start, way = "box" if box else "point", "fed back" if fed_back else "not fed back"
                yield f"{start}, correction {number}, masks {way}", score(masks)


if __name__ == "__main__":
    main()
