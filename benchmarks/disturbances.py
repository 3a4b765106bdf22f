"""What a disturbed image costs: mSA of the automatic segmentation, by disturbance.

    python benchmarks/disturbances.py [--model REF] [--image FILE --labels FILE] [--diameter PX]

By default it segments the validation and the test quadrant of the annotated image. Each row is one
disturbance: the mSA as samzoo stretches it, and with plain percentiles of all pixels. What a disk
covers does not count. The script needs samzoo.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np
from annotated_quadrants import add_images, chosen_images
from numpy.typing import NDArray

from samzoo.runtime import read_image, read_labels
from samzoo.runtime.automatic import maps
from samzoo.runtime.evaluation.metrics import mean_segmentation_accuracy
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.images.intensity import Stretch
from samzoo.zoo import load

Values = NDArray[np.float64]
Pair = tuple[Values, NDArray[np.int32]]


def saturated_pixel(image: Values, labels: NDArray[np.int32]) -> Pair:
    """One pixel at the highest value of 16 bits."""
    image[7, 11] = 65535
    return image, labels


def disk(image: Values, labels: NDArray[np.int32]) -> Pair:
    """A disk of 2 % of the image at ten times the maximum (of 16 bits at most)."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    center = (image.shape[0] * 0.3, image.shape[1] * 0.7)
    covered = np.hypot(rows - center[0], columns - center[1]) ** 2 * np.pi < 0.02 * image.size
    image[covered] = min(10 * image.max(), 65535)
    return image, np.where(covered, -1, labels).astype(np.int32)


def hot_pixels(image: Values, labels: NDArray[np.int32]) -> Pair:
    """0.5 % of the pixels at ten times the maximum (of 16 bits at most)."""
    image[np.random.default_rng(0).random(image.shape) < 0.005] = min(10 * image.max(), 65535)
    return image, labels


def zero_border(image: Values, labels: NDArray[np.int32]) -> Pair:
    """A border of zeros, an eighth of the image wide on each side."""
    margin = [(side // 8, side // 8) for side in image.shape]
    return np.pad(image, margin), np.pad(labels, margin)


def gradient(image: Values, labels: NDArray[np.int32]) -> Pair:
    """Light that rises from left to right, from half of it to all."""
    low = np.percentile(image, 0.1)
    return low + (image - low) * np.linspace(0.5, 1, image.shape[1]), labels


def gamma(power: float) -> Callable[[Values, NDArray[np.int32]], Pair]:
    """Another power of the values between minimum and maximum."""

    def change(image: Values, labels: NDArray[np.int32]) -> Pair:
        low, high = image.min(), image.max()
        return low + (high - low) * ((image - low) / (high - low)) ** power, labels

    return change


DISTURBANCES = {
    "none": lambda image, labels: (image, labels),
    "one saturated pixel": saturated_pixel,
    "bright disk": disk,
    "hot pixels": hot_pixels,
    "border of zeros": zero_border,
    "gradient": gradient,
    "gamma 0.5": gamma(0.5),
    "gamma 2": gamma(2.0),
}


def plain_limits(image: NDArray[np.generic], preprocessing: Preprocessing) -> Stretch:
    """Return percentiles of all pixels."""
    low, high = np.percentile(image, preprocessing.percentiles)
    return Stretch(float(low), float(high))


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nuclei-vit-t")
    add_images(parser)
    parser.add_argument("--diameter", type=float)
    options = parser.parse_args()
    model, robust = load(options.model), maps.intensity_limits
    print("| image | disturbance | mSA | plain percentiles |\n|---|---|---|---|")
    for path, truth in chosen_images(options):
        image, labels = read_image(path), read_labels(truth)
        for name, disturb in DISTURBANCES.items():
            values, expected = disturb(image.astype(np.float64), labels.astype(np.int32))
            disturbed = values if image.dtype.kind == "f" else np.rint(values).astype(np.uint16)
            scores = []
            for limits in (robust, plain_limits):
                if limits is plain_limits and limits(disturbed, model.config.preprocessing) == (
                    robust(disturbed, model.config.preprocessing)
                ):
                    scores.append(scores[0])
                    continue
                maps.intensity_limits = limits
                found = model.segment(disturbed, diameter=options.diameter)
                scores.append(mean_segmentation_accuracy(found, expected)["msa"])
            maps.intensity_limits = robust
            print(f"| {path.stem} | {name} | {scores[0]:.3f} | {scores[1]:.3f} |", flush=True)


if __name__ == "__main__":
    main()
