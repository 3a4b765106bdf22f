"""Make ``volume_prompts.npz``: objects that micro-sam follows through a stack.

Needs micro-sam 1.8.14, like ``make_goldens.py``, and samzoo and the tests' tiny SAM on the path
(``PYTHONPATH=tests``); see README.md beside this file. The SAM is ``tiny.make_original`` of
``tiny.make_config("vit_1024")``, since micro-sam's mask inputs are for models of 1024 pixels.

``follow_*``: ``segment_mask_in_volume`` with each projection; random weights draw no objects, so
that the threshold is 0 and every slice depends on the one before it. ``control_*``: the same with
``segment_from_mask`` replaced by a rule (an object that shrinks and moves), for the order of
slices, the stopping and what lies between: slices, given masks and options in ``cases``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import tiny
import torch
from micro_sam import multi_dimensional_segmentation as volumes
from segment_anything import SamPredictor

SHAPE = (4, 70, 90)
PROJECTIONS = ("box", "mask", "points", "points_and_mask", "single_point")

CASES = [
    {"slices": [4]},
    {"slices": [2, 4]},
    {"slices": [2, 5]},
    {"slices": [1, 7]},
    {"slices": [1, 4, 9]},
    {"slices": [3, 8], "stop_lower": True},
    {"slices": [3, 8], "stop_upper": True},
    {"slices": [0, 11], "stop_lower": True, "stop_upper": True},
    {"slices": [5], "iou_threshold": 0.9},
    {"slices": [5], "iou_threshold": 0.0},
]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent)
    output = parser.parse_args().output
    arrays = {"cases": np.array(json.dumps(CASES)), **followed(), **controlled()}
    np.savez_compressed(output / "volume_prompts.npz", **arrays)


def followed() -> dict[str, np.ndarray]:
    """With the tiny SAM."""
    sam = tiny.make_original(tiny.make_sam(tiny.make_config("vit_1024", ais=False))).eval()
    predictor = SamPredictor(sam)
    rng = np.random.default_rng(0)
    stack = rng.integers(0, 256, SHAPE).astype(np.uint8)
    features = []
    for plane in stack:
        predictor.set_image(np.repeat(plane[..., None], 3, axis=2))
        features.append(predictor.features[None].numpy())
    embeddings = {
        "features": np.concatenate(features),
        "input_size": predictor.input_size,
        "original_size": predictor.original_size,
    }
    y, x = np.mgrid[: SHAPE[1], : SHAPE[2]]
    start = ((y - 30) / 20) ** 2 + ((x - 40) / 14) ** 2 < 1
    start[25:33, 50:70] = True
    arrays = {"stack": stack, "start": start}
    for projection in PROJECTIONS:
        segmentation = np.zeros(SHAPE, np.uint8)
        segmentation[1] = start
        with torch.no_grad():
            found, _ = volumes.segment_mask_in_volume(
                segmentation, predictor, embeddings, np.array([1]), False, False, 0.0, projection
            )
        arrays[f"follow_{projection}"] = found.astype(bool)
    return arrays


def rule(mask: np.ndarray, z: int) -> np.ndarray:
    """An object that moves to the right and loses a row in every third slice."""
    moved = np.roll(mask, 1, axis=1)
    moved[:, 0] = 0
    if z % 3 == 0 and moved.any():
        moved[np.flatnonzero(moved.any(axis=1))[0]] = 0
    return moved


def controlled() -> dict[str, np.ndarray]:
    """With a rule in place of the network."""

    def segment(predictor, mask, image_embeddings=None, i=None, return_all=False, **_):
        found = rule(mask == 1, i).astype(np.uint8)
        return (found[None], None, None) if return_all else found[None]

    original, volumes.segment_from_mask = volumes.segment_from_mask, segment
    arrays = {}
    for index, case in enumerate(CASES):
        segmentation = np.zeros((12, 20, 24), np.uint8)
        for z in case["slices"]:
            segmentation[z, 4:12, 3 + z // 2 : 11 + z // 2] = 1
        arrays[f"control_given{index}"] = segmentation.astype(bool)
        found, _ = volumes.segment_mask_in_volume(
            segmentation, None, None, np.array(case["slices"]), case.get("stop_lower", False),
            case.get("stop_upper", False), case.get("iou_threshold", 0.6), "box",
        )  # fmt: skip
        arrays[f"control_found{index}"] = found.astype(bool)
    volumes.segment_from_mask = original
    return arrays


if __name__ == "__main__":
    main()
