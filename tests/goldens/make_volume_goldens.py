"""Make ``volumes.npz``: stacks of labels and what micro-sam merges them to.

Needs micro-sam 1.8.14, like ``make_goldens.py``; see README.md beside this file.

Spheres of random size and place are cut into slices, each slice labelled on its own, as a 2D
segmentation would: some pieces are lost, some shifted, and neighbours touch. Stored are the stacks
and the labels of ``merge_instance_segmentation_3d`` with and without gap closing and smallest
extent.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from micro_sam.multi_dimensional_segmentation import merge_instance_segmentation_3d
from skimage.measure import label

SHAPE = (14, 60, 64)
VARIATIONS = (
    {},
    {"gap_closing": 1},
    {"gap_closing": 2},
    {"min_z_extent": 4},
    {"gap_closing": 1, "min_z_extent": 3},
)
SEEDS = (0, 1, 2)


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    output = parser.parse_args().output
    arrays = {"variations": np.array(json.dumps(VARIATIONS))}
    for seed in SEEDS:
        stack = sliced_spheres(seed)
        arrays[f"slices{seed}"] = stack.astype(np.uint16)
        for index, options in enumerate(VARIATIONS):
            merged = merge_instance_segmentation_3d(stack.copy(), verbose=False, **options)
            arrays[f"merged{seed}_{index}"] = merged.astype(np.uint16)
    np.savez_compressed(output / "volumes.npz", **arrays)


def sliced_spheres(seed: int) -> np.ndarray:
    """Label each slice of a volume of spheres on its own, with errors; numbered through."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    truth = np.zeros(SHAPE, int)
    for i in range(1, 26):
        center = rng.uniform(0, SHAPE)
        radius = rng.uniform(4, 9)
        distance = (2 * (z - center[0])) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
        truth[(distance < radius**2) & (truth == 0)] = i
    stack = np.zeros(SHAPE, np.uint32)
    count = 0
    for k, plane in enumerate(truth):
        pieces = label(plane, connectivity=1)
        for piece in range(1, pieces.max() + 1):
            if rng.random() < 0.08:  # missed
                continue
            shift = rng.integers(-1, 2, 2) if rng.random() < 0.3 else (0, 0)
            mask = np.roll(pieces == piece, shift, (0, 1))
            count += 1
            stack[k][mask & (stack[k] == 0)] = count
    ids = np.unique(stack)
    return np.searchsorted(ids, stack).astype(np.uint32)


if __name__ == "__main__":
    main()
