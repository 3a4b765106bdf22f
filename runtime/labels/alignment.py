"""Labels that lie elsewhere than the objects of their image: mirrored, turned, or of another image.

In: an image and labels. Out: how well the outlines of the labels lie on edges of the image, and a
sentence where another picture fits better.

How the limits were chosen: on 1045 pairs of DSB 2018 (fluorescence, histology), ultrasound of
nerves and heads, and FIB-SEM neurites. Each limit's docstring has what was measured.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array, Labels2D

from .views import eight_views

MUCH_BETTER = 2.0
"""Ratio of fits from which labels are said to be mirrored or turned. Measured: at most 1.72 for
right labels; when mirrored or turned, more than this in 96 % of the images of nuclei, in 42 to 46 %
of ultrasound, and in none of neurites, which fill the image."""

LEAST_FIT = 1.5
"""Steepness at outlines from which a way is believed: noise around one small object has up to 1.2
somewhere, which proves nothing."""

EXTREMES = (0.1, 99.9)
"""Percentiles of intensities beyond which values are cut off, so that hot pixels do not count. With
1 and 99, objects that cover less than a hundredth of an image had no edges left, and four
right label images of DSB 2018 were doubted."""

BETTER = 1.25
"""Ratio from which the labels fit a neighbour's image better. One pair in ten of ultrasound reaches
it, so more than half of all pairs must, and in one direction."""

FEWEST_PAIRS = 3
"""Fewer comparisons with neighbours prove nothing (own choice)."""

_PIXELS = 2**22
"""Pixels that are looked at (own choice; more would take time and memory and prove no more)."""

_WAYS = (
    "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees",
    "mirrored left to right", "mirrored along a diagonal", "mirrored top to bottom",
    "mirrored along a diagonal",
)  # fmt: skip


@dataclass(frozen=True)
class Edges:
    """Where an image and its labels have edges.

    Attributes:
        image: Steepness of the image at each pixel, ``(height, width)``.
        labels: Pixels beside another label, of the same shape.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.bool_]

    @classmethod
    def of(cls, image: Array, labels: Labels2D) -> Edges:
        """Find the edges of an annotated image; of a large one in each second, third, ... pixel."""
        step = math.isqrt(max(labels.size - 1, 0) // _PIXELS) + 1
        return cls(_steepness(image[::step, ::step]), _outlines(labels[::step, ::step]))

    @property
    def fit(self) -> float | None:
        """How much steeper the image is at outlines than elsewhere; 1 means as steep."""
        return _fit(self.image, self.labels)


def turned_labels(edges: Edges, where: str) -> list[str]:
    """Say if the labels would fit their image much better, were they mirrored or turned.

    Args:
        edges: Edges of the image and its labels.
        where: Names the labels in messages.

    Returns:
        One sentence, or none.
    """
    own = edges.fit
    if own is None:
        return []
    best, way = 0.0, ""
    for number, view in enumerate(eight_views(edges.labels)):
        if number and view.shape == edges.image.shape:
            fit = _fit(edges.image, view) or 0.0
            best, way = max((best, way), (fit, _WAYS[number - 1]))
    if best < LEAST_FIT or best <= MUCH_BETTER * own:
        return []
    return [
        f"{where}: the labels fit the image much better if they are {way}: edges of the image are "
        f"{best:.1f} times steeper than elsewhere there, {own:.1f} times now. Look at both, laid "
        "over each other"
    ]


@dataclass
class Neighbours:
    """Compares each pair with the one before it, to find labels that are off by one image.

    Attributes:
        count: Pairs that could be compared.
        before: Those whose labels fit the image before better.
        after: Those whose labels fit the next image better.
    """

    count: int = 0
    before: int = 0
    after: int = 0
    _last: Edges | None = field(default=None, repr=False)

    def add(self, edges: Edges) -> None:
        """Take the next pair into account, in the order of their names."""
        last, self._last = self._last, edges
        if last is None or last.image.shape != edges.image.shape:
            return
        own, other = edges.fit, last.fit
        if own is None or other is None:
            return
        self.count += 1
        self.before += (_fit(last.image, edges.labels) or 0) > BETTER * own
        self.after += (_fit(edges.image, last.labels) or 0) > BETTER * other

    def sentences(self) -> list[str]:
        """Say if most labels fit a neighbour's image better than their own."""
        for count, which in ((self.before, "before"), (self.after, "after")):
            if self.count >= FEWEST_PAIRS and count > self.count / 2:
                return [
                    f"{count} of {self.count} label images fit the image {which} theirs better "
                    "than their own; the numbers in the names of images and labels seem to be off "
                    "by one"
                ]
        return []


def _fit(steepness: NDArray[np.float32], outlines: Array) -> float | None:
    mean = float(steepness.mean())
    if not mean or not outlines.any():
        return None
    return float(steepness[outlines].mean()) / mean


def _steepness(image: Array) -> NDArray[np.float32]:
    """Return differences of pixels two apart, after a mean of 3 x 3; a few extremes are cut off."""
    grey = image.astype(np.float32)
    if grey.ndim == 3:
        grey = grey.mean(axis=2)
    grey = np.clip(grey, *np.percentile(grey, EXTREMES))
    height, width = grey.shape
    padded = np.pad(grey, 2, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    smooth = rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]
    across = np.abs(smooth[1:-1, 2:] - smooth[1:-1, :-2])
    down = np.abs(smooth[2:, 1:-1] - smooth[:-2, 1:-1])
    steep: NDArray[np.float32] = (across + down)[:height, :width]
    return steep


def _outlines(labels: Labels2D) -> NDArray[np.bool_]:
    """Return the pixels beside another label; not those that nobody annotated."""
    found = np.zeros(labels.shape, np.bool_)
    across = (labels[:, 1:] != labels[:, :-1]) & (labels[:, 1:] >= 0) & (labels[:, :-1] >= 0)
    down = (labels[1:] != labels[:-1]) & (labels[1:] >= 0) & (labels[:-1] >= 0)
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found
