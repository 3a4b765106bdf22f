"""Slices joined to volumes with known truth: by samzoo, by its micro-sam rule, by micro-sam.

    python benchmarks/volumes.py --stardist stardist-0.9.2-*.whl

The script labels each slice of a true volume on its own: every piece of an object gets a number of
its slice. It loses or shifts some pieces, and joins the slices again. Volumes: the synthetic
nuclei that stardist 0.9.2 ships (``mask3d.tif``; ``pip download --no-deps stardist==0.9.2``), and
spheres and flattened spheres drawn here. The script needs micro-sam 1.8.14, see
benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import io
import time
import zipfile
from pathlib import Path

import numpy as np
import tifffile
from micro_sam.multi_dimensional_segmentation import merge_instance_segmentation_3d

from samzoo.runtime import merge_slices
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy

MISTAKES = {"exact slices": (0.0, 0.0), "8 % lost, 30 % shifted": (0.08, 0.3)}
SEEDS = (0, 1, 2)


def spheres(seed: int, *, flat: float) -> np.ndarray:
    """Draw 60 spheres, ``flat`` times as wide as high; many of them touch."""
    rng = np.random.default_rng(seed)
    z, y, x = np.mgrid[:32, :128, :128]
    truth = np.zeros(z.shape, np.int32)
    for number in range(1, 61):
        center = rng.uniform(0, truth.shape)
        radius = rng.uniform(6, 12)
        distance = (flat * (z - center[0])) ** 2 + (y - center[1]) ** 2 + (x - center[2]) ** 2
        truth[(distance < radius**2) & (truth == 0)] = number
    return truth


def sliced(truth: np.ndarray, lost: float, shifted: float, seed: int) -> np.ndarray:
    """Label each slice on its own, with mistakes; labels of all slices differ."""
    rng = np.random.default_rng(seed)
    stack = np.zeros(truth.shape, np.uint32)
    count = 0
    for plane, result in zip(truth, stack, strict=True):
        for number in np.unique(plane[plane > 0]):
            if rng.random() < lost:
                continue
            shift = rng.integers(-1, 2, 2) if rng.random() < shifted else (0, 0)
            mask = np.roll(plane == number, shift, (0, 1))
            count += 1
            result[mask & (result == 0)] = count
    ids = np.unique(stack)
    return np.searchsorted(ids, stack).astype(np.uint32)


WAYS = {
    "micro-sam": lambda stack: merge_instance_segmentation_3d(stack.copy(), verbose=False),
    "ours, micro-sam's rule": lambda stack: merge_slices(stack, overlap_of="earlier"),
    "ours": merge_slices,
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stardist", type=Path, required=True, help="the wheel")
    options = parser.parse_args()
    with zipfile.ZipFile(options.stardist) as wheel:
        data = wheel.read("stardist/data/images/mask3d.tif")
    volumes = {
        "stardist mask3d": [tifffile.imread(io.BytesIO(data)).astype(np.int32)],
        "spheres": [spheres(seed, flat=1.0) for seed in SEEDS],
        "flattened spheres": [spheres(seed, flat=2.5) for seed in SEEDS],
    }
    print("| volume | slices | joined by | mSA | SA50 | objects / true | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name, truths in volumes.items():
        for kind, (lost, shifted) in MISTAKES.items():
            for way, join in WAYS.items():
                rows = []
                for seed, truth in enumerate(truths):
                    stack = sliced(truth, lost, shifted, seed)
                    start = time.perf_counter()
                    found = np.asarray(join(stack))
                    seconds = time.perf_counter() - start
                    scores = mean_segmentation_accuracy(found, truth)
                    counts = [len(np.unique(v[v > 0])) for v in (found, truth)]
                    rows.append((scores["msa"], scores["sa50"], *counts, seconds))
                msa, sa50, objects, true, seconds = np.mean(rows, axis=0)
                print(
                    f"| {name} | {kind} | {way} | {msa:.3f} | {sa50:.3f} | {objects:.0f} / "
                    f"{true:.0f} | {seconds:.2f} |"
                )


if __name__ == "__main__":
    main()
