"""Augmentation: what cameras, stains and stitching do to intensities, done to training crops.

In: a crop in 0..255, as the encoder sees it. Out: the same crop with other intensities, and with
labels and targets where something covers it.

All of it acts after the normalisation, on the model's scale. A stretch between two percentiles
undoes a constant factor and offset, so that either would teach nothing before it. What the network
sees at inference is what the stretch leaves: if an outlier moves the limits, the rest is dim
(contrast) or its background is grey (background); the outlier itself is clipped to 0 or 255 (hot
pixels, disk, border).
"""

from __future__ import annotations

import dataclasses

import numpy as np
from bioimage_cpp.filters import gaussian_smoothing
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Float3D
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.training.config import Intensities

from .crops import Crop, training_objects

Pixels = NDArray[np.float32]
"""Intensities in 0..1, ``(height, width, channels)``, with one channel for a grey crop."""

CONTRAST = (0.25, 1.5)
"""Range of the factor on intensities, drawn on a log scale; above 1, bright pixels saturate. An
outlier that moves the upper limit makes the rest that dim."""

BACKGROUND_LEVEL = (-0.2, 0.5)
"""Range of the level that black is brought to, with white kept: up to grey, or below black, where
it is cut off. Deconvolved and background-subtracted images are black, raw ones are grey."""

NOISE = (0.005, 0.08)
"""Range of the standard deviation of Gaussian noise, on a log scale, as a share of white."""

BLUR = (0.5, 1.8)
"""Range of the Gaussian's sigma in model pixels."""

HOT_PIXELS = 0.005
"""Largest share of pixels that are white, alone."""

DISK = (0.04, 0.1)
"""Range of the radius of one white disk, as a share of the crop's side: 0.5 to 3 % of its area."""

GRADIENT = 0.6
"""Largest loss of light from one side of a crop to the other, as a share."""

BORDER = 0.3
"""Largest width of a black border at each side, as a share of the crop's side; half of the borders
are at one side or two only."""

STAIN, SHIFT, SATURATION = (0.8, 1.2), 0.03, (0.5, 1.5)
"""Range of the factor on each stain's optical density, largest shift of it, and range of the
factor on the difference between channels. Stains: Tellez et al., Medical Image Analysis 58 (2019),
"HED-strong" has these factors; the shift is smaller and saturation is added (own choice)."""

STAINS_RGB = np.array(
    [[0.650, 0.704, 0.286], [0.072, 0.990, 0.105], [0.268, 0.570, 0.776]], np.float32
)
"""Optical densities of haematoxylin, eosin and DAB in red, green and blue. Source: Ruifrok and
Johnston 2001."""

BACKGROUND_TARGETS = np.array([0, 1, 1], np.float32)[:, None, None]
"""Targets of a pixel of no object; see ``distance_targets``."""

# All ranges without a source are own choices, wide enough for what ``benchmarks/`` does to images.


def augmented(
    crop: Crop, settings: Intensities, rng: np.random.Generator, *, gamma: float = 0.0
) -> Crop:
    """Change a crop's intensities at random.

    The order is that of an image's making: light, optics, camera, display, then what covers it.

    Args:
        crop: The crop; it is not changed.
        settings: The probabilities.
        rng: Source of all random choices. Without ``gamma`` and settings no number is drawn.
        gamma: Intensities of 0..1 are raised to a power between ``2**-gamma`` and ``2**gamma``; 0
            is off.

    Returns:
        The crop, with intensities in 0..255. Labels are -1 under a disk, and 0 under a border.
        A border is left out where no object would be left of those that were there.
    """
    if gamma == 0 and settings == Intensities():
        return crop
    pixels = _pixels(crop.image)
    chosen = {name: rng.random() < chance for name, chance in vars(settings).items() if chance}

    def on(name: str) -> bool:
        return bool(chosen.get(name, False))

    if on("colour") and pixels.shape[2] == 3:
        pixels = _stained(pixels, rng)
    if on("gradient"):
        pixels = pixels * _light(pixels.shape, rng)
    if on("blur"):
        pixels = _blurred(pixels, rng.uniform(*BLUR))
    if on("noise"):
        pixels = pixels + _log_uniform(NOISE, rng) * rng.standard_normal(pixels.shape, np.float32)
    pixels = np.clip(pixels, 0, 1)
    if gamma:
        pixels **= np.float32(2.0 ** rng.uniform(-gamma, gamma))
    if on("contrast"):
        pixels *= _log_uniform(CONTRAST, rng)
    if on("background"):
        level = np.float32(rng.uniform(*BACKGROUND_LEVEL))
        # A negative level is stretched back, so that white stays white.
        pixels = level + (1 - level) * pixels if level > 0 else (pixels + level) / (1 + level)
    pixels = np.clip(pixels, 0, 1)
    if on("hot_pixels"):
        share = rng.uniform(0, HOT_PIXELS)
        pixels[rng.random(pixels.shape[:2], np.float32) < share] = 1
    labels, targets = crop.labels, crop.targets
    if on("disk"):
        hidden = _disk(labels.shape, rng)
        pixels[hidden] = 1
        labels, targets = np.where(hidden, np.int32(IGNORED), labels), _without(targets, hidden)
    if on("border"):
        hidden = _border(labels.shape, rng)
        left = np.where(hidden, np.int32(0), labels)
        if training_objects(left) or not training_objects(labels):
            pixels[hidden] = 0
            labels, targets = left, _without(targets, hidden)
    image = np.broadcast_to(255 * pixels, crop.image.shape).astype(np.float32)
    return dataclasses.replace(crop, image=image, labels=labels, targets=targets)


def _pixels(image: Array) -> Pixels:
    """Return intensities in 0..1, a copy, with one channel if all are equal."""
    grey = np.array_equal(image[..., 0], image[..., 1]) and np.array_equal(
        image[..., 1], image[..., 2]
    )
    values = image[..., :1] if grey else image
    pixels: Pixels = np.clip(values.astype(np.float32) / np.float32(255), 0, 1)
    return pixels


def _log_uniform(limits: tuple[float, float], rng: np.random.Generator) -> np.float32:
    return np.float32(np.exp(rng.uniform(*np.log(limits))))


def _light(shape: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    angle, loss = rng.uniform(0, 2 * np.pi), rng.uniform(0, GRADIENT)
    rows = np.linspace(-0.5, 0.5, shape[0], dtype=np.float32)[:, None]
    columns = np.linspace(-0.5, 0.5, shape[1], dtype=np.float32)
    along = rows * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle))
    along -= along.min()
    light: Pixels = (1 - np.float32(loss) * along / max(float(along.max()), 1e-6))[..., None]
    return light


def _blurred(pixels: Pixels, sigma: float) -> Pixels:
    channels = [
        gaussian_smoothing(np.ascontiguousarray(pixels[..., c]), sigma)
        for c in range(pixels.shape[2])
    ]
    blurred: Pixels = np.stack(channels, axis=-1).astype(np.float32, copy=False)
    return blurred


def _stained(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    least = np.float32(1 / 255)  # of black, an optical density of 5.5
    density = -np.log(np.maximum(pixels, least))
    stains = density @ np.linalg.inv(STAINS_RGB)
    factors = rng.uniform(*STAIN, size=3).astype(np.float32)
    shifts = rng.uniform(-SHIFT, SHIFT, size=3).astype(np.float32)
    pixels = np.exp(-((stains * factors + shifts) @ STAINS_RGB))
    grey = pixels.mean(axis=2, keepdims=True)
    stained: Pixels = grey + np.float32(rng.uniform(*SATURATION)) * (pixels - grey)
    return stained


def _disk(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    height, width = shape
    radius = rng.uniform(*DISK) * max(shape)
    y, x = rng.uniform(0, height), rng.uniform(0, width)
    rows, columns = np.arange(height)[:, None], np.arange(width)
    disk: NDArray[np.bool_] = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return disk


def _border(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.bool_]:
    height, width = shape
    sides = rng.uniform(0, BORDER, size=4) * (rng.random(4) < (1.0 if rng.random() < 0.5 else 0.4))
    top, bottom = (int(side * height) for side in sides[:2])
    left, right = (int(side * width) for side in sides[2:])
    hidden = np.ones(shape, bool)
    hidden[top : height - bottom, left : width - right] = False
    return hidden


def _without(targets: Float3D, hidden: NDArray[np.bool_]) -> Float3D:
    visible: Float3D = np.where(hidden, BACKGROUND_TARGETS, targets)
    return visible
