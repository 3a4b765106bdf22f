"""Simulated images of nuclei with known truth, in two kinds.

``nuclei`` resemble those of the example image: rough ellipses with texture and intensities of
their own, blurred by the microscope, on an uneven background, with photon and camera noise.
``ellipses`` are flat and sharp, unlike anything that the shipped model was trained on.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

LONG, SHORT = (11.0, 18.0), (0.55, 0.9)
"""The longer half axis in pixels, and the shorter one as a fraction of it, as in the example."""

ROUGHNESS = 0.02
"""Standard deviation of each Fourier term of a contour, as a fraction of the radius."""

BLUR = 2.0
"""The microscope's blur in pixels; its half height lies where the mask ends."""

BACKGROUND, SIGNAL, SPREAD = 20.0, 60.0, 0.35
"""Photons of the background and of a nucleus, and the log-normal spread of the latter."""

READ_NOISE = 4.0
"""The camera's read noise in photons."""

ELLIPSE_EDGE = 5 / 6
"""Radius at which one of ``ellipses`` has half of its intensity, where its mask ends."""

SIDE = 48
"""Side in pixels of the square in which a nucleus is drawn."""


def nuclei(side: int, spacing: int, seed: int = 0) -> tuple[Any, Any]:
    """Draw rough, blurred nuclei and their labels.

    Args:
        side: Side of the image in pixels.
        spacing: Side in pixels of the squares that each hold one nucleus, at a random place. Where
            two nuclei meet, their light adds up, and the label is that of the nearer centre.
        seed: Seed of all random numbers.

    Returns:
        The image, ``(side, side)`` uint16, and labels, ``(side, side)`` int32.
    """
    rng = np.random.default_rng(seed)
    padded = (side + 2 * SIDE,) * 2
    light = np.zeros(padded, np.float32)
    labels = np.zeros(padded, np.int32)
    nearest = np.full(padded, np.inf, np.float32)
    corners = product(range(0, side + SIDE, spacing), repeat=2)
    for number, corner in enumerate(corners, 1):
        y, x = (value + int(rng.integers(spacing * 2 // 3)) for value in corner)
        radius, signal = _nucleus(rng)
        here = np.s_[y : y + SIDE, x : x + SIDE]
        window = radius[: padded[0] - y, : padded[1] - x]
        light[here] += signal[: padded[0] - y, : padded[1] - x]
        front = (window < 1) & (window < nearest[here])
        labels[here][front] = number
        nearest[here][front] = window[front]
    unevenness = gaussian_filter(rng.normal(size=padded).astype(np.float32), 80, mode="wrap")
    photons = gaussian_filter(light, BLUR) + BACKGROUND * (1 + 0.3 * unevenness / unevenness.std())
    image = rng.poisson(np.maximum(photons, 0)) + rng.normal(0, READ_NOISE, padded)
    inner = np.s_[SIDE:-SIDE, SIDE:-SIDE]
    return np.clip(image + 100, 0, 65535)[inner].astype(np.uint16), labels[inner]


def _nucleus(rng: np.random.Generator) -> tuple[Any, Any]:
    """Return relative distances from the centre, and photons; both ``(SIDE, SIDE)``."""
    long = rng.uniform(*LONG)
    short = long * rng.uniform(*SHORT)
    turn = rng.uniform(0, math.pi)
    rows, columns = np.mgrid[:SIDE, :SIDE].astype(np.float32) - (SIDE - 1) / 2
    u, v = _turned(rows, columns, turn)
    u, v = u / long, v / short
    angle = np.arctan2(v, u)
    contour = 1 + sum(
        rng.normal(0, ROUGHNESS) * np.cos(k * angle + rng.uniform(0, 2 * math.pi))
        for k in range(2, 6)
    )
    radius = np.hypot(u, v) / contour
    texture = gaussian_filter(rng.normal(size=radius.shape), 2)
    brightness = SIGNAL * rng.lognormal(0, SPREAD) * (1 + 0.1 * texture / texture.std())
    dome = 0.6 + 0.4 * np.sqrt(np.clip(1 - radius**2, 0, 1))  # thinner at its border
    return radius, np.where(radius < 1, brightness * dome, 0).astype(np.float32)


def ellipses(side: int, spacing: int, seed: int = 0) -> tuple[Any, Any]:
    """Draw flat ellipses and their labels; arguments and results are those of ``nuclei``.

    Half axes are 7 to 13 pixels. At a spacing of 26 pixels ellipses touch and overlap, at 34 most
    stand alone. Intensities differ by a factor of three; edges are three pixels wide.
    """
    rng = np.random.default_rng(seed)
    light = np.zeros((side + 40,) * 2, np.float32)
    labels = np.zeros(light.shape, np.int32)
    rows, columns = np.mgrid[:40, :40]
    for number, (y, x) in enumerate(product(range(0, side, spacing), repeat=2), 1):
        dy, dx = rng.uniform(-5, 5, 2)
        a, b = rng.uniform(7, 13, 2)
        turn = rng.uniform(0, math.pi)
        u, v = _turned(rows - 20 - dy, columns - 20 - dx, turn)
        radius = np.hypot(u / a, v / b)
        inside = np.clip(3 * (1 - radius), 0, 1) * rng.uniform(0.3, 1)
        here = np.s_[y : y + 40, x : x + 40]
        labels[here][(inside > light[here]) & (radius < ELLIPSE_EDGE)] = number
        np.maximum(light[here], inside, out=light[here])
    image = 2000 + 20000 * light[20:-20, 20:-20] + rng.normal(0, 600, (side, side))
    return np.clip(image, 0, 65535).astype(np.uint16), labels[20:-20, 20:-20]


def _turned(rows: Any, columns: Any, turn: float) -> tuple[Any, Any]:
    """Return coordinates along and across an axis that is turned by an angle."""
    return (
        columns * np.cos(turn) + rows * np.sin(turn),
        rows * np.cos(turn) - columns * np.sin(turn),
    )


SIMULATORS = {"nuclei": nuclei, "ellipses": ellipses}
"""The functions that draw an image, by kind."""
