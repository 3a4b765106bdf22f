"""A picture of what a model found in an image, beside the truth.

In: an image, the truth and labels. Out: an RGB picture with the outlines of both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.evaluation.matching import match_objects
from samzoo.runtime.formats.arrays import Array, Labels2D, Masks
from samzoo.runtime.images.overlay import contours, visible

SIDE = 512
"""Longest side of a picture in pixels (own choice): twelve fit into a sheet for a message."""

MOST_ENLARGED = 4

TRUTH, FOUND, BOTH = (86, 180, 233), (230, 159, 0), (0, 190, 110)
"""Colours of the outlines of the truth, of what was found, and where both lie on each other:
blue and orange of ``overlay.PALETTE``, which colour-blind people tell apart, and a green that
stands out from bright and dark pixels alike."""

BRIGHTNESS = 0.8
"""Factor on the image, so that outlines stand out from it (own choice)."""

TINT = 0.35
"""Share of the colour inside objects without partner (own choice: the image stays visible)."""

Picture = NDArray[np.uint8]


def draw_panel(image: Array, truth: Labels2D, labels: Labels2D) -> Picture:
    """Outline truth and prediction, and fill the objects of both that match nothing.

    Objects match from an IoU of 0.50. Pixels that are not annotated are darkened.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.
        truth: ``(height, width)``; -1 is not annotated.
        labels: ``(height, width)``, what was found.

    Returns:
        RGB uint8, its longest side ``SIDE`` pixels or less if the image is very small.
    """
    missed = _without_partner(truth, match_objects(labels, truth).ious)
    wrong = _without_partner(labels, match_objects(truth, labels).ious)
    rows, columns = _places(truth.shape)
    picture = BRIGHTNESS * visible(image)[rows][:, columns].astype(np.float32)
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture
    true, found = np.maximum(truth, 0)[rows][:, columns], labels[rows][:, columns]
    picture[truth[rows][:, columns] < 0] *= 0.4
    for mask, colour in ((missed, TRUTH), (wrong, FOUND)):
        inside = mask[rows][:, columns]
        picture[inside] += TINT * (np.array(colour, np.float32) - picture[inside])
    one, other = contours(true), contours(found)
    for outline, colour in ((one, TRUTH), (other, FOUND), (one & other, BOTH)):
        picture[outline] = colour
    return picture.round().clip(0, 255).astype(np.uint8)


def _without_partner(labels: Labels2D, ious: tuple[float, ...]) -> Masks:
    ids = np.unique(labels[labels > 0])
    return np.isin(labels, ids[np.array(ious) < 0.5])


def _places(shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and the column that each pixel of the picture shows."""
    factor = min(SIDE / max(shape), MOST_ENLARGED)
    rows, columns = (
        np.minimum((np.arange(max(1, round(size * factor))) / factor).astype(np.intp), size - 1)
        for size in shape
    )
    return rows, columns
