"""The diameter of an image's objects, estimated from the image itself with the model's AIS maps.

In: a model's networks and config, and an image that can be read in windows. Out: the median
object's diameter, or the answer that it is not sure.

At a scale that is too coarse the model sees foreground that it cannot divide into objects; at one
that is too fine it divides large objects into pieces. So the looks go from coarse to fine, and the
first scale counts at which nearly all foreground falls into objects.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.engine.encoding import choose_tiles, encode_window
from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.engine.object_scale import at_scale, model_pixels, trained_diameter
from samzoo.runtime.formats.arrays import Array, Labels2D, Progress
from samzoo.runtime.formats.config import MAX_SCALE, MIN_SCALE, ModelConfig
from samzoo.runtime.images.geometry import Size, field_of_view
from samzoo.runtime.images.intensity import Stretch, to_0_255
from samzoo.runtime.images.label_arrays import equivalent_diameters
from samzoo.runtime.images.tiles import Tile
from samzoo.runtime.pixels.reader import Window

from .ais import segment_from_maps
from .interest import Interest, Pixels
from .maps import tile_maps

COARSEST, FINEST = 3, -2
"""Powers of two times the model's own diameter, with which the looks begin and end (own choice:
nuclei of 6 to 180 pixels for a model of nuclei of 23 pixels)."""

ACROSS = 4
"""Objects of the diameter that the first look expects which fit side by side into the image, at
least (own choice: fewer give no median)."""

DIVIDED = 0.65
"""Share of the foreground in objects from which a scale is fine enough (own choice, see
``docs/decisions/0028-object-size-from-the-image.md``)."""

FEWEST = 3
"""Objects without which a look says nothing (own choice)."""

SOME = 10
"""Objects for which one look takes another window (own choice)."""

ENOUGH = 25
"""Objects whose median is taken without another look (own choice: at a spread of a quarter, the
median of 25 is within 7 % of that of all)."""

CLOSE = 1.2
"""Ratio to the trained diameter within which objects are measured well (own choice)."""

STEADY = 1.5
"""Ratio to the trained diameter beyond which a look at the objects' own scale contradicts them
(own choice)."""

SMALLEST = 0.25
"""Diameters below this share of the trained one are specks (own choice)."""

MOST_WINDOWS = 6
"""Most windows of one look (own choice)."""

PRICE = 3
"""All looks together take this part of the tiles of the segmentation, or two for each scale."""


@dataclass(frozen=True)
class Estimate:
    """What was found out about the size of an image's objects.

    Attributes:
        diameter: Median diameter in image pixels; None if the model is not sure.
        objects: Number of objects that it is the median of.
        tiles: Number of tiles that were encoded.
    """

    diameter: float | None
    objects: int
    tiles: int


def estimate_diameter(
    networks: Networks,
    config: ModelConfig,
    pixels: Pixels,
    *,
    limits: Stretch,
    progress: Progress | None = None,
) -> Estimate:
    """Estimate the median diameter of an image's objects.

    Args:
        networks: The model's networks, with an AIS decoder.
        config: The model's config at its own scale; ``trained_diameter`` is known.
        pixels: The image, not constant.
        limits: Intensities that become 0 and 255, of the whole image.
        progress: Called with ("size", tiles done, 0): how many there will be is not known.

    Returns:
        The estimate. It depends on the image and the model alone. Objects cut off by the image's
        border count, those cut off by a window's do not.

    Raises:
        ImageError: The image cannot be read.
    """
    trained = trained_diameter(config)
    assert trained is not None
    looks = _Looks(networks, config, pixels, limits, trained, progress)
    own = trained / model_pixels(config, pixels.size)
    for power in range(COARSEST, FINEST - 1, -1):
        expected = own * 2.0**power
        if expected * ACROSS > min(pixels.size) and power > FINEST:
            continue
        found = looks.at(expected)
        if not found.divided:
            continue
        if not found.near(CLOSE) or not (found.whole or len(found.diameters) >= ENOUGH):
            again = looks.at(found.median, wanted=ENOUGH)
            if again.share < DIVIDED or (again.divided and not again.near(STEADY)):
                continue  # it contradicts: what was found is no object of this size
            found = again if again.divided else found
        return Estimate(found.median, len(found.diameters), looks.tiles)
    return Estimate(None, 0, looks.tiles)


@dataclass(frozen=True)
class _Look:
    """What the model sees at one scale.

    Attributes:
        expected: The diameter in image pixels that has the trained one at this scale.
        diameters: Those of the objects found.
        foreground: Pixels of foreground.
        inside: Those of them that lie in objects.
        whole: Whether the only window is the image.
    """

    expected: float
    diameters: NDArray[np.float64]
    foreground: int
    inside: int
    whole: bool

    @property
    def share(self) -> float:
        return self.inside / max(self.foreground, 1)

    @property
    def divided(self) -> bool:
        return self.share >= DIVIDED and len(self.diameters) >= FEWEST

    @property
    def median(self) -> float:
        return float(np.median(self.diameters))

    def near(self, ratio: float) -> bool:
        return 1 / ratio <= self.median / self.expected <= ratio


class _Looks:
    """Looks at parts of an image at several scales, where there is the most to see."""

    def __init__(
        self,
        networks: Networks,
        config: ModelConfig,
        pixels: Pixels,
        limits: Stretch,
        trained: float,
        progress: Progress | None,
    ) -> None:
        self._networks, self._config, self._trained = networks, config, trained
        self._pixels, self._limits, self._progress = pixels, limits, progress
        self._interest = Interest.of_pixels(pixels, self._stretched)
        self.tiles = 0

    def _stretched(self, image: Array) -> Array:
        return to_0_255(image, self._config.preprocessing, self._limits)

    def at(self, expected: float, *, wanted: int = SOME) -> _Look:
        """Look at the scale at which objects of a diameter have the trained one.

        Args:
            expected: The diameter in image pixels.
            wanted: Number of objects at which it is enough, if this scale divides the foreground.
        """
        scale = min(max(self._trained / expected, MIN_SCALE), MAX_SCALE)
        config = at_scale(self._config, scale)
        size, field = self._pixels.size, field_of_view(config.image_size, scale)
        side = min(field, size[0]), min(field, size[1])
        allowed = len(choose_tiles(config, size, None, None)) // PRICE - self.tiles
        look = _Look(expected, np.zeros(0), 0, 0, side == size)
        for window in self._interest.best(side, min(max(allowed, 2), MOST_WINDOWS)):
            mask, labels = self._labels(config, window)
            areas, inside = _uncut(labels, window, size, margin=round(expected / 2))
            found = equivalent_diameters(areas)
            found = found[found * scale >= SMALLEST * self._trained]
            look = replace(
                look,
                diameters=np.append(look.diameters, found),
                foreground=look.foreground + int(mask[inside].sum()),
                inside=look.inside + int((mask & (labels > 0))[inside].sum()),
            )
            if len(look.diameters) >= wanted or look.share < DIVIDED:
                break
        return look

    def _labels(self, config: ModelConfig, window: Window) -> tuple[NDArray[np.bool_], Labels2D]:
        """Return foreground and objects of a window."""
        pixels = self._stretched(self._pixels.read(window))
        value = encode_window(self._networks, config, pixels)[0]
        maps = tile_maps(self._networks, config, value, Tile(window, window))
        self.tiles += 1
        if self._progress is not None:
            self._progress("size", self.tiles, 0)
        every = replace(config.ais, min_size=0)  # an object that is left out has a size, too
        labels = segment_from_maps(*maps, parameters=every)
        return maps[0] > config.ais.foreground_threshold, labels


def _uncut(
    labels: Labels2D, window: Window, size: Size, *, margin: int
) -> tuple[NDArray[np.int64], tuple[slice, slice]]:
    """Return what no side of a window inside the image has cut off.

    Args:
        labels: The window's objects.
        window: The window.
        size: (height, width) of the image.
        margin: Pixels along such a side in which the foreground may belong to an object cut off.

    Returns:
        The areas of the objects that touch no such side, and the part without the margins.
    """
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    y0, x0, y1, x1 = window
    cuts = y0 > 0, x0 > 0, y1 < size[0], x1 < size[1]
    for cut, line in zip(cuts, (labels[0], labels[:, 0], labels[-1], labels[:, -1]), strict=True):
        if cut:
            areas[line] = 0
    top, left, bottom, right = (margin if cut else 0 for cut in cuts)
    rows, columns = labels.shape
    return areas[areas > 0], (slice(top, rows - bottom), slice(left, columns - right))
