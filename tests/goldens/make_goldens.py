"""Make the golden files that the tests hold our own numpy code against.

This script needs micro-sam 1.8.14 (with torch-em 0.10.9 and python-elf 0.9.2) in a separate
environment and is run by hand; neither the packages of this repository nor their tests import
it. See README.md beside this file for the versions and the command. Every input is made from a
fixed seed and every expected value comes from a call into the libraries, so running it again
with the same versions gives the same arrays.

ais_watershed.npz
    Automatic instance segmentation from the three decoder maps, as done by
    `InstanceSegmentationWithDecoder.generate` without tiling:

    1. Smooth the foreground map with a Gaussian (sigma = foreground_smoothing) if that is > 0.
    2. Smooth both distance maps with a Gaussian (sigma = distance_smoothing) if that is > 0.
    3. mask = foreground > foreground_threshold (strict).
    4. seed pixels = center < center_distance_threshold and boundary <
       boundary_distance_threshold (strict) and mask.
    5. seeds = connected components of the seed pixels, 8-connectivity, numbered in row-major
       order of their first pixel.
    6. Seeded watershed on the smoothed boundary map, 4-connectivity, inside the mask only.
       A component of the mask without a seed stays background.
    7. If min_size > 0: set segments with fewer than min_size pixels to 0, then renumber the
       rest to 1..n in the order of their old numbers.

    The Gaussian is separable, mirrors at the border without repeating the edge pixel, is
    cut off at a radius of ceil(3 * sigma) and works in float32. The watershed quantises the
    heights to 65536 levels; the order within one level is not specified.

distance_targets.npz
    Training targets as micro_sam.training asks torch_em's `PerObjectDistanceTransform` for
    them. Channels: 0 instances, 1 foreground, 2 centre distance, 3 inverted boundary distance.

    1. Connected components of equal-valued pixels (8-connectivity), numbered from 1 in
       row-major order of first occurrence. A label with two components becomes two objects;
       touching objects with different labels stay separate.
    2. Objects with size < min_size become background; the rest is renumbered to 1..n.
    3. Boundary pixels of the whole label image, skimage `find_boundaries(mode="inner")`:
       object pixels that have a 4-neighbour with another label (another object or
       background). The image border itself makes no boundary.
    4. Per object, all in the crop given by its bounding box:
       a. centre = centroid rounded with `np.round` (halves go to the even number).
       b. d = exact Euclidean distance to the nearest boundary pixel in the crop (boundary
          pixels of other objects count too), then set to 0 outside of the object.
       c. If the rounded centroid is not an object pixel, the centre becomes the argmax of d
          (first one in row-major order of the crop).
       d. Centre distance = Euclidean distance of every pixel to the centre, straight through
          background and other objects.
       e. Boundary distance = max(d) - d.
       f. Both are set to 0 outside of the object, then each is divided by its own maximum
          over the crop plus 1e-7.
       g. The object's pixels are written into the full-size maps.
    5. Pixels that belong to no object (so also those of removed objects) have 1 in both
       distance maps and 0 in the instance and foreground channels.

    An object that consists of boundary pixels only has a boundary distance of 0 everywhere.
    The library's array is float64 with the instance channel and float32 without it; every
    value fits into float32, which is what is stored.

msa.npz
    Segmentation accuracy tp / (tp + fp + fn) at the IoU thresholds `np.arange(0.5, 1.0, 0.05)`
    and its mean. A match needs IoU >= threshold, where the thresholds keep their float error
    (0.6 is 0.6000000000000001 and so an IoU of exactly 3 / 5 does not match there). Matches
    are found by an optimal assignment. Without any true positive the accuracy is 0, also if
    both images are empty.

dice_loss.npz
    Dice score per channel, summed over batch and space: 2 * sum(p * t) / max(sum(p * p) +
    sum(t * t), 1e-7). The Dice loss is the sum over the channels of one minus that. The
    distance loss is the sum of the Dice losses of the channels foreground, centre and boundary
    distance, where the latter two are multiplied with the target's foreground on both sides.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from elf.evaluation import mean_segmentation_accuracy
from micro_sam.instance_segmentation import InstanceSegmentationWithDecoder
from scipy.ndimage import gaussian_filter
from torch_em.loss import DiceBasedDistanceLoss, DiceLoss
from torch_em.loss.dice import dice_score
from torch_em.transform.label import PerObjectDistanceTransform

MAX_FILE_BYTES = 300_000
MAX_TOTAL_BYTES = 1_200_000

AIS_DEFAULTS = {
    "center_distance_threshold": 0.5,
    "boundary_distance_threshold": 0.5,
    "foreground_threshold": 0.5,
    "foreground_smoothing": 1.0,
    "distance_smoothing": 1.6,
    "min_size": 0,
}

# Shape, number of ellipses, range of their semi-axes, and what the second run changes.
AIS_CASES = (
    ((64, 64), 8, (4.0, 11.0), {"min_size": 95}),
    (
        (200, 144),
        30,
        (3.0, 18.0),
        {
            "center_distance_threshold": 0.4,
            "boundary_distance_threshold": 0.6,
            "foreground_threshold": 0.6,
        },
    ),
    ((97, 131), 25, (3.0, 12.0), {"distance_smoothing": 2.0, "min_size": 30}),
    ((256, 256), 170, (3.0, 15.0), {"foreground_smoothing": 0.0, "distance_smoothing": 0.7}),
)


def ellipse(shape, center, axes, angle=0.0):
    """Mask of a filled ellipse; `axes` are the semi-axes, `angle` is in radians."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    y, x = y - center[0], x - center[1]
    u = np.cos(angle) * y + np.sin(angle) * x
    v = -np.sin(angle) * y + np.cos(angle) * x
    return (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1.0


def random_ellipses(shape, n_objects, axes_range, rng):
    """Label image of random ellipses; a later one only takes pixels that are still free."""
    labels = np.zeros(shape, dtype="uint32")
    for label in range(1, n_objects + 1):
        center = rng.uniform((0, 0), shape)
        mask = ellipse(shape, center, rng.uniform(*axes_range, size=2), rng.uniform(0, np.pi))
        labels[mask & (labels == 0)] = label
    return labels


def decoder_like_maps(labels, rng):
    """Foreground, centre and boundary maps of `labels`, blurred and noisy like a prediction.

    Rounding to multiples of 1/64 makes the values exact in float16 and the file small.
    """
    maps = PerObjectDistanceTransform(
        distances=True, boundary_distances=True, directed_distances=False, foreground=True
    )(labels)
    # Little noise where there is nothing to segment, so that the file compresses well.
    near = gaussian_filter((labels > 0).astype("float32"), 3.0)
    amplitude = 0.01 + 0.05 * np.clip(2.0 * near, 0.0, 1.0)
    noisy = [gaussian_filter(m, 0.7) + amplitude * rng.standard_normal(m.shape) for m in maps]
    return (np.round(np.clip(noisy, 0.0, 1.0) * 64) / 64).astype("float16")


def run_ais(maps, params):
    """Label image that micro-sam makes from the three maps."""
    segmenter = InstanceSegmentationWithDecoder(predictor=None, decoder=None)
    names = ("foreground", "center_distances", "boundary_distances")
    segmenter.set_state({name: m.astype("float32") for name, m in zip(names, maps, strict=True)})
    segmentation = segmenter.generate(**params, output_mode="instance_segmentation")
    assert 0 < segmentation.max() <= np.iinfo("uint16").max
    return segmentation.astype("uint16")


def make_ais_watershed():
    """Four cases, each with the default parameters and with a variation of them."""
    arrays = {}
    for i, (shape, n_objects, axes_range, changes) in enumerate(AIS_CASES):
        rng = np.random.default_rng(300 + i)
        maps = decoder_like_maps(random_ellipses(shape, n_objects, axes_range, rng), rng)
        variant = {**AIS_DEFAULTS, **changes}
        arrays[f"case{i}_maps"] = maps
        arrays[f"case{i}_params"] = np.array(json.dumps(AIS_DEFAULTS))
        arrays[f"case{i}_labels"] = run_ais(maps, AIS_DEFAULTS)
        arrays[f"case{i}_variant_params"] = np.array(json.dumps(variant))
        arrays[f"case{i}_variant_labels"] = run_ais(maps, variant)
    return arrays


def label_image_with_special_objects():
    """Objects drawn by hand, one for each rule of the distance transform."""
    shape = (96, 80)
    labels = np.zeros(shape, dtype="uint16")
    labels[ellipse(shape, (0, 20), (14, 11))] = 3  # cut by the upper border
    labels[ellipse(shape, (90, 74), (13, 15), 0.5)] = 4  # cut by the lower right corner
    ring = ellipse(shape, (40, 22), (17, 15)) & ~ellipse(shape, (41, 23), (9, 8))
    labels[ring] = 7  # centroid in the hole
    labels[ellipse(shape, (41, 23), (4, 3))] = 8  # inside the ring without touching it
    labels[5:10, 50:56] = 9  # 30 pixels, centroid at a half
    labels[15:20, 60:64] = 10  # 20 pixels, removed by min_size
    labels[ellipse(shape, (36, 52), (9, 7))] = 12  # two components of one label
    labels[ellipse(shape, (40, 71), (8, 6))] = 12
    labels[66:86, 6:20] = 20  # touches the next one
    labels[70:92, 20:33] = 21
    labels[64:74, 40:48] = 30  # one label that hangs together at a corner only
    labels[74:82, 48:56] = 30
    return labels


def label_image_with_crowded_objects():
    """Touching random ellipses with a C-shaped and a one pixel wide object."""
    shape = (72, 96)
    rng = np.random.default_rng(7)
    labels = np.zeros(shape, dtype="uint16")
    labels[6:40, 8:32] = 500
    labels[12:34, 15:32] = 0  # leaves a C whose centroid lies outside
    labels[48, 4:44] = 2  # has nothing but boundary pixels
    crowd = random_ellipses(shape, 60, (2.0, 10.0), rng)
    free = labels == 0
    free[:46, :34] = False
    free[46:51, 2:46] = False
    labels[free] = (10 + 3 * crowd[free]) * (crowd[free] > 0)
    return labels


def make_distance_targets():
    """Targets for two label images, with the arguments that micro-sam uses for training."""
    transform = PerObjectDistanceTransform(
        distances=True,
        boundary_distances=True,
        directed_distances=False,
        foreground=True,
        instances=True,
        min_size=25,
    )
    arrays = {}
    images = (label_image_with_special_objects(), label_image_with_crowded_objects())
    for i, labels in enumerate(images):
        targets = transform(labels.copy())
        stored = targets.astype("float32")
        assert np.array_equal(stored, targets)
        arrays[f"labels{i}"] = labels
        arrays[f"targets{i}"] = stored
    return arrays


def pair_with_exact_ious():
    """Pairs of boxes whose IoU is exactly 1/2, 3/5, 7/10, 3/4, 4/5, 9/10 and 19/20."""
    true = np.zeros((72, 44), dtype="uint32")
    pred = np.zeros_like(true)
    for row, width in enumerate((20, 24, 28, 30, 32, 36, 38)):
        rows = slice(8 * row, 8 * row + 5)
        true[rows, 2:42] = row + 1
        pred[rows, 2 : 2 + width] = 100 - row
    # An object in two halves: both reach an IoU of 1/2, only one can match.
    true[60:68, 2:42] = 9
    pred[60:68, 2:22] = 200
    pred[60:68, 22:42] = 201
    return pred, true


def segmentation_pairs():
    """Six pairs (prediction, truth), from identical to empty."""
    rng = np.random.default_rng(42)
    shape = (96, 120)

    true = random_ellipses(shape, 25, (4.0, 13.0), rng)
    identical = (np.where(true > 0, 60 - true, 0).astype("uint32"), true)

    pred, truth = np.zeros((2, *shape), dtype="uint32")
    for label in range(1, 36):
        center, axes = rng.uniform((0, 0), shape), rng.uniform(5.0, 12.0, size=2)
        angle, shift = rng.uniform(0, np.pi), rng.normal(0.0, 0.8, size=2)
        truth[ellipse(shape, center, axes, angle)] = label
        scale = rng.uniform(0.85, 1.15)
        pred[ellipse(shape, center + shift, axes * scale, angle)] = label
    jittered = (pred, truth)

    true = random_ellipses(shape, 40, (4.0, 12.0), rng)
    pred = np.roll(true, (1, -1), axis=(0, 1)) + 1000 * (true > 0)
    pred[np.isin(true, (3, 4, 5))] = 3  # merged
    pred[np.isin(true, (7, 8, 9))] = 0  # missed
    split = (true == 1) & (np.arange(shape[1]) > np.argwhere(true == 1)[:, 1].mean())
    pred[split] = 2000
    pred[80:88, 100:112] = 3000  # made up
    mixed = (pred.astype("uint32"), true)

    empty = np.zeros_like(true)
    return (identical, jittered, mixed, pair_with_exact_ious(), (empty, true), (empty, empty))


def make_msa():
    """Segmentation accuracies of all pairs."""
    arrays = {}
    for i, (pred, true) in enumerate(segmentation_pairs()):
        msa, accuracies = mean_segmentation_accuracy(pred, true, return_accuracies=True)
        assert len(accuracies) == 10
        arrays[f"pred{i}"] = pred.astype("uint16")
        arrays[f"true{i}"] = true.astype("uint16")
        arrays[f"sa{i}"] = np.array(accuracies, dtype="float64")
        arrays[f"msa{i}"] = np.float64(msa)
    return arrays


def make_dice_loss():
    """Losses for a random prediction, with a random and with an empty target."""
    rng = np.random.default_rng(3)
    prediction = rng.random((2, 3, 16, 16), dtype="float32")
    target = rng.random((2, 3, 16, 16), dtype="float32")
    target[:, 0] = target[:, 0] > 0.4
    target_empty = target.copy()
    target_empty[:, 0] = 0.0
    target_empty[:, 1:] = 1.0

    arrays = {"prediction": prediction, "target": target, "target_empty": target_empty}
    pred = torch.from_numpy(prediction)
    for suffix, expected in (("", target), ("_empty", target_empty)):
        true = torch.from_numpy(expected)
        scores = dice_score(pred, true, reduce_channel=None)
        arrays[f"distance_loss{suffix}"] = DiceBasedDistanceLoss(mask_distances_in_bg=True)(
            pred, true
        ).numpy()
        arrays[f"dice_loss{suffix}"] = DiceLoss()(pred, true).numpy()
        arrays[f"dice_score_per_channel{suffix}"] = scores.numpy()
    return arrays


def main():
    parser = argparse.ArgumentParser(description="Make the golden files of the tests.")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).resolve().parent)
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)

    makers = {
        "ais_watershed": make_ais_watershed,
        "distance_targets": make_distance_targets,
        "msa": make_msa,
        "dice_loss": make_dice_loss,
    }
    total = 0
    for name, make in makers.items():
        path = output / f"{name}.npz"
        np.savez_compressed(path, **make())
        size = path.stat().st_size
        total += size
        print(f"{path.name}: {size} bytes")
        if size > MAX_FILE_BYTES:
            raise RuntimeError(f"{path.name} is larger than {MAX_FILE_BYTES} bytes")
    if total > MAX_TOTAL_BYTES:
        raise RuntimeError(f"the files together are larger than {MAX_TOTAL_BYTES} bytes")


if __name__ == "__main__":
    main()
