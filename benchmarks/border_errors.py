"""The errors that remain after a box: how far wrong pixels lie from the true border.

    python benchmarks/border_errors.py [--model REF] [--rounds 7]

The script prompts every object of the training and validation quadrants with its box, and corrects
it as the task ``ib`` does. Distances are in pixels of the image.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from bioimage_cpp.distance import distance_transform

from samzoo.runtime import Model, read_image, read_labels
from samzoo.runtime.evaluation.prompt_simulation import correction_points, object_boxes
from samzoo.runtime.evaluation.scoring import MIN_OBJECT_SIZE
from samzoo.zoo import load

EXAMPLES = Path(__file__).parent.parent / "examples"
QUADRANTS = ("train/{}/top_left.tif", "train/{}/top_right.tif", "val/{}/bottom_left.tif")


def main() -> None:
    """Print a row for each round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    model = load(options.model) if options.model else load()
    print("| quadrant | corrections | mean IoU | wrong within 1 px | within 2 px | IoU if all else "
          "were right |\n|---|---|---|---|---|---|")  # fmt: skip
    for quadrant in QUADRANTS:
        image = read_image(EXAMPLES / quadrant.format("images"))
        labels = read_labels(EXAMPLES / quadrant.format("labels"))
        for row in rows(model, image, labels, options.rounds):
            print(f"| {Path(quadrant).stem} | " + " | ".join(row) + " |", flush=True)


def rows(model: Model, image: Any, labels: Any, rounds: int) -> Any:
    """Yield the cells of each round."""
    counts = np.bincount(labels.ravel())
    counts[0] = 0
    ids = np.flatnonzero(counts >= MIN_OBJECT_SIZE)
    truths = labels[None] == ids[:, None, None]
    depths = [np.where(t, distance_transform(t), distance_transform(~t)) for t in truths]
    embeddings, boxes = model.embed(image), object_boxes(labels, ids)
    points = np.zeros((len(ids), 0, 2), np.float32)
    point_labels = np.zeros((len(ids), 0), np.int32)
    rng = np.random.default_rng([0, 0])
    for done in range(rounds + 1):
        prompt = {"points": points, "point_labels": point_labels} if done else {}
        masks, _, _ = model.prompt(embeddings, boxes=boxes, **prompt)
        wrong = masks ^ truths
        distances = np.concatenate([d[w] for d, w in zip(depths, wrong, strict=True)])
        near = np.stack([np.where(d > 1, t, m)
                         for d, t, m in zip(depths, truths, masks, strict=True)])  # fmt: skip
        yield (
            str(done), f"{iou(masks, truths):.3f}", f"{np.mean(distances <= 1):.2f}",
            f"{np.mean(distances <= 2):.2f}", f"{iou(near, truths):.3f}",
        )  # fmt: skip
        drawn = [correction_points(t, m, rng) for t, m in zip(truths, masks, strict=True)]
        points = np.concatenate([points, np.stack([p for p, _ in drawn])], axis=1)
        point_labels = np.concatenate([point_labels, np.stack([x for _, x in drawn])], axis=1)


def iou(masks: Any, truths: Any) -> float:
    """Return the mean IoU over objects."""
    overlap, union = (masks & truths).sum((1, 2)), (masks | truths).sum((1, 2))
    return float(np.mean(overlap / union))


if __name__ == "__main__":
    main()
