"""Make ``amg.npz`` and ``apg.npz``: micro-sam after the networks in the modes amg and apg.

Needs micro-sam 1.8.14, like ``make_goldens.py``; see README.md beside this file.

Inputs are logits and predicted IoUs of overlapping blobs, made from fixed seeds, at image size and
rounded to multiples of 1/16, so that float16 holds them exactly.

amg.npz
    Label images of ``AutomaticMaskGenerator.generate`` from the logits of three masks a point, with
    the default thresholds (too strict for most) and with variations. The state that ``initialize``
    would leave is made from the logits by the generator's own ``_to_mask_data``.

apg.npz
    Points of ``_derive_point_prompts`` from decoder maps, whose seeds also touch at corners and lie
    at the image's border; and label images of ``apply_nms`` from the logits of one mask a point,
    measured by micro-sam's own ``_process_masks_for_batch``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from make_goldens import decoder_like_maps, random_ellipses
from micro_sam.inference import _process_masks_for_batch
from micro_sam.instance_segmentation import AutomaticMaskGenerator, _derive_point_prompts
from micro_sam.util import apply_nms
from scipy.ndimage import gaussian_filter
from segment_anything.utils import amg as amg_utils

AMG_DEFAULTS = {
    "pred_iou_thresh": 0.88,
    "stability_score_thresh": 0.95,
    "box_nms_thresh": 0.7,
    "with_background": True,
}
AMG_VARIATIONS = (
    {},
    {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.6},
    {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.5, "box_nms_thresh": 0.4},
    {"pred_iou_thresh": 0.3, "stability_score_thresh": 0.7, "with_background": False},
)
APG_DEFAULTS = {"min_size": 25, "nms_threshold": 0.9, "intersection_over_min": False}
APG_VARIATIONS = (
    {},
    {"min_size": 0, "nms_threshold": 0.3},
    {"min_size": 60, "nms_threshold": 0.5, "intersection_over_min": True},
)
SHAPE = (72, 90)


def blob_logits(n, rng, *, background):
    """Logits ``(n, *SHAPE)`` of blobs, some of them of the same object, some rough."""
    rows, columns = np.mgrid[: SHAPE[0], : SHAPE[1]]
    centers = rng.uniform((4, 4), (SHAPE[0] - 4, SHAPE[1] - 4), (n // 2, 2))
    logits = []
    for index in range(n):
        center = centers[index % len(centers)] + rng.normal(0, 1.0, 2)
        radius = rng.uniform(3, 13)
        distance = np.hypot(rows - center[0], columns - center[1])
        rough = (index % 2) * gaussian_filter(rng.standard_normal(SHAPE), 1.5) * rng.uniform(0, 6)
        logits.append(np.clip((radius - distance) * rng.uniform(0.5, 30.0) + rough, -8, 8))
    if background:
        logits[0] = -np.max(logits[1:], axis=0) + 1.0
    return (np.round(np.stack(logits) * 16) / 16).astype(np.float16)


def make_amg():
    """Label images with each variation of the thresholds."""
    rng = np.random.default_rng(11)
    logits = blob_logits(60, rng, background=True).reshape(20, 3, *SHAPE)
    iou = rng.uniform(0.4, 1.0, (20, 3)).astype(np.float32)
    iou[0, 0] = 0.99
    predictor = SimpleNamespace(model=SimpleNamespace(mask_threshold=0.0), device="cpu")
    generator = AutomaticMaskGenerator(predictor)
    crop = [0, 0, SHAPE[1], SHAPE[0]]
    data = generator._to_mask_data(
        torch.from_numpy(logits.astype(np.float32)), torch.from_numpy(iou), crop, SHAPE,
        points=np.zeros((20, 2)),
    )  # fmt: skip
    everything = amg_utils.MaskData()
    everything.cat(data)
    generator.set_state({
        "crop_list": [everything], "crop_boxes": [crop], "original_size": SHAPE,
    })  # fmt: skip
    arrays = {"logits": logits, "iou": iou}
    for i, changes in enumerate(AMG_VARIATIONS):
        parameters = {**AMG_DEFAULTS, **changes}
        labels = generator.generate(**parameters)
        arrays[f"params{i}"] = np.array(json.dumps(parameters))
        arrays[f"labels{i}"] = labels.astype(np.uint16)
        print("amg", changes, labels.max())
    return arrays


def make_apg():
    """Points from maps, and label images with each variation of the settings."""
    rng = np.random.default_rng(12)
    maps = decoder_like_maps(random_ellipses(SHAPE, 30, (3.0, 9.0), rng), rng)
    # Seeds that touch at a corner, and one along the border.
    for channel, value in ((0, 1.0), (1, 0.0), (2, 0.0)):
        maps[channel, 2:6, 40:44] = maps[channel, 6:9, 44:48] = value
        maps[channel, 20:30, -3:] = value
    arrays = {"maps": maps}
    for name, threshold in (("", 0.5), ("_variant", 0.8)):
        prompts = _derive_point_prompts(
            *maps.astype(np.float32), foreground_threshold=1 - threshold,
            center_distance_threshold=threshold, boundary_distance_threshold=threshold,
        )  # fmt: skip
        arrays[f"points{name}"] = prompts["points"][:, 0].astype(np.int32)
        print("apg points", len(arrays[f"points{name}"]))
    logits = blob_logits(40, rng, background=False)
    iou = rng.uniform(0.2, 1.0, 40).astype(np.float32)
    tensor = torch.from_numpy(logits.astype(np.float32))[:, None]
    data = _process_masks_for_batch(tensor, torch.from_numpy(iou)[:, None], tensor, False, 0.0)
    predictions = [
        {
            "segmentation": data["masks"][i],
            "bbox": amg_utils.box_xyxy_to_xywh(data["boxes"][i]).tolist(),
            "predicted_iou": data["iou_preds"][i].item(),
            "stability_score": data["stability_scores"][i].item(),
        }
        for i in range(40)
    ]
    arrays |= {"logits": logits, "iou": iou}
    for i, changes in enumerate(APG_VARIATIONS):
        settings = {**APG_DEFAULTS, **changes}
        labels = apply_nms(
            predictions, min_size=settings["min_size"], nms_thresh=settings["nms_threshold"],
            intersection_over_min=settings["intersection_over_min"],
        )  # fmt: skip
        arrays[f"params{i}"] = np.array(json.dumps(settings))
        arrays[f"labels{i}"] = labels.astype(np.uint16)
        print("apg", changes, labels.max())
    return arrays


def main():
    parser = argparse.ArgumentParser(description="Make the goldens of amg and apg.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parent)
    output = parser.parse_args().output
    torch.set_num_threads(1)
    for name, make in (("amg", make_amg), ("apg", make_apg)):
        np.savez_compressed(output / f"{name}.npz", **make())
        print(name, (output / f"{name}.npz").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
