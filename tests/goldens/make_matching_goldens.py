"""Make ``stardist_matching.npz``: two label images, and what StarDist counts for both together.

Needs stardist 0.9.2 and scikit-image; see README.md beside this file. Stored are rectangles on a
grid, some of them missing, and the same cut at two sides, with the counts and the ``accuracy`` of
``stardist.matching.matching_dataset`` at the IoU thresholds 0.50, 0.55, ..., 0.95. No IoU equals a
threshold that floating point numbers miss.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from stardist.matching import matching_dataset

SHAPE, STEP = (64, 96), 16


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    output = parser.parse_args().output
    rng = np.random.default_rng(7)
    pairs = [cut_rectangles(rng, most=most) for most in (3, 4)]
    labels, truths = (np.stack(images) for images in zip(*pairs, strict=True))
    found = [
        matching_dataset(
            list(truths), list(labels), thresh=percent / 100, by_image=False, show_progress=False
        )
        for percent in range(50, 100, 5)
    ]
    counts = {
        name: np.array([getattr(each, name) for each in found]) for name in ("tp", "fp", "fn")
    }
    np.savez_compressed(
        output / "stardist_matching.npz",
        labels=labels.astype(np.uint8), truths=truths.astype(np.uint8), **counts,
        accuracy=np.array([each.accuracy for each in found]),
    )  # fmt: skip


def cut_rectangles(rng, *, most):
    """Draw the truth, and the same with up to ``most`` - 1 rows and columns cut off."""
    truth, labels = np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.int32)
    corners = [(y + 1, x + 1) for y in range(0, SHAPE[0], STEP) for x in range(0, SHAPE[1], STEP)]
    for number, (y, x) in enumerate(corners, start=1):
        height, width = rng.integers(6, 14, 2)
        if rng.random() < 0.9:
            truth[y : y + height, x : x + width] = number
        if rng.random() < 0.9:
            top, left = rng.integers(0, most, 2)
            labels[y + top : y + height, x + left : x + width] = 100 - number
    return labels, truth


if __name__ == "__main__":
    main()
