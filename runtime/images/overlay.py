"""Labels drawn over their image, for people to look at.

In: an image and labels of the same size. Out: an RGB picture, or a PNG file.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import ImageError, shown
from samzoo.runtime.formats.arrays import Array, Labels2D, Masks
from samzoo.runtime.formats.config import Preprocessing
from samzoo.runtime.formats.outputs import replacing

from .intensity import to_0_255
from .label_arrays import check_labels
from .origin import OVERLAY_SOFTWARE, png_origin
from .overlay_marks import Marks, draw_marks
from .reading import check_image

PALETTE = np.array(
    [
        (230, 159, 0),
        (86, 180, 233),
        (0, 158, 115),
        (240, 228, 66),
        (0, 114, 178),
        (213, 94, 0),
        (204, 121, 167),
    ],
    dtype=np.uint8,
)
"""Seven colours that colour-blind people can tell apart. Source: Okabe and Ito, Color Universal
Design (2008); black is left out because a dark image hides it."""

OPACITY = 0.3
"""Share of the label's colour inside an object (own choice: texture stays visible)."""

MIN_SIDE = 512
"""Pictures smaller than this are enlarged (own choice)."""

MAX_ENLARGEMENT = 16

MAX_CONTOUR = 3
"""Largest width of a contour in pixels; it is as wide as an enlarged pixel (own choice)."""

DARK = 40
"""If an image's median, after stretching to 0..255, lies below ``DARK``, the image is brightened
with this gamma (own choices: missed dim objects have to be visible beside saturated ones)."""
DARK_GAMMA = 0.7

NEIGHBOUR_DISTANCES = (1, 3, 6)
"""Distances in pixels at which two objects are neighbours and get unlike colours (own choice)."""

OverlayStyle = Literal["filled", "outlines"]
"""Objects half transparent with a contour, or contours only."""

_Picture = NDArray[np.uint8]


def draw_overlay(image: Array, labels: Labels2D, *, filled: bool = True) -> _Picture:
    """Draw each object half transparent, with a clear contour and a colour unlike its neighbours'.

    The image is stretched between its percentiles 0.5 and 99.5; dark images (fluorescence) are
    brightened by ``DARK_GAMMA``. Small images are enlarged by a whole factor, until their longest
    side has at least ``MIN_SIDE`` pixels (at most ``MAX_ENLARGEMENT`` times).

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, any real dtype.
        labels: ``(height, width)`` integer, 0 is background, -1 is not annotated and not drawn.
        filled: Colour the inside of objects, too; else only their contours.

    Returns:
        ``(factor * height, factor * width, 3)`` uint8 RGB.

    Raises:
        ImageError: The image or the labels are not usable, or their sizes differ.
    """
    image, labels = check_image(image), check_labels(labels, ignored_allowed=True)
    labels = np.maximum(labels, 0)
    if image.shape[:2] != labels.shape:
        raise ImageError(
            f"labels have shape {labels.shape}, the image {image.shape[:2]}; they must be equal"
        )
    ids, positions = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
    dense = positions[:-1].reshape(labels.shape)
    chosen = PALETTE[_choose_colours(dense, ids.size)]
    colours = np.concatenate([np.zeros((1, 3), np.uint8), chosen])
    factor = _enlargement(labels.shape)
    dense = enlarge(dense, factor)
    picture = enlarge(visible(image), factor).astype(np.float32)
    coloured = colours[dense].astype(np.float32)
    inside = dense > 0
    if filled:
        picture[inside] += OPACITY * (coloured[inside] - picture[inside])
    for _ in range(min(factor, MAX_CONTOUR)):
        contour = contours(dense)
        picture[contour] = coloured[contour]
        dense = np.where(contour, 0, dense)
    return picture.round().astype(np.uint8)


def write_overlay(
    path: str | Path,
    image: Array,
    labels: Labels2D,
    *,
    filled: bool = True,
    marks: Marks | None = None,
) -> None:
    """Write ``draw_overlay`` as a PNG file, complete or not at all.

    Args:
        path: A ``.png`` file.
        image: As for ``draw_overlay``.
        labels: As for ``draw_overlay``.
        filled: As for ``draw_overlay``.
        marks: The number of objects and a bar of scale to draw in the corners.

    Raises:
        ImageError: The suffix is not ``.png``, or as ``draw_overlay``.
        StorageError: The disk is full or the folder cannot be written.
    """
    from PIL import Image

    path = Path(path)
    if path.suffix.lower() != ".png":
        raise ImageError(f"{path}: found suffix {shown(path.suffix)}, overlays are written as .png")
    picture = draw_overlay(image, labels, filled=filled)
    if marks is not None:
        picture = draw_marks(picture, marks, pixels=labels.shape[1])
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary, pnginfo=png_origin(OVERLAY_SOFTWARE))


def visible(image: Array) -> Array:
    """Stretch an image for the eye, as ``draw_overlay`` does.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``, any real dtype.

    Returns:
        The same shape, floating point, 0 to 255.
    """
    stretched = to_0_255(image, Preprocessing(intensity="percentile", percentiles=(0.5, 99.5)))
    if np.median(stretched) < DARK:
        stretched = 255 * (stretched / 255) ** DARK_GAMMA
    return stretched


def _enlargement(shape: tuple[int, ...]) -> int:
    return min(-(-MIN_SIDE // max(shape)), MAX_ENLARGEMENT)


def enlarge(values: Array, factor: int) -> Array:
    """Repeat each pixel of ``(height, width)`` or ``(height, width, channels)`` both ways."""
    return values.repeat(factor, axis=0).repeat(factor, axis=1)


def contours(dense: Array) -> Masks:
    """Return labelled pixels with a 4-neighbour that has another label or is background.

    Args:
        dense: ``(height, width)`` integer labels, 0 is background.

    Returns:
        ``(height, width)`` boolean; pixels at the image's edge need such a neighbour, too.
    """
    edge = np.zeros(dense.shape, dtype=bool)
    down = dense[1:] != dense[:-1]
    right = dense[:, 1:] != dense[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    return edge & (dense > 0)


def _choose_colours(dense: Array, n_labels: int) -> NDArray[np.intp]:
    """Colour the graph of neighbours greedily; objects with most neighbours come first.

    Args:
        dense: ``(height, width)`` labels 0 to ``n_labels - 1``, 0 background.
        n_labels: Number of labels, background included.

    Returns:
        ``(n_labels - 1,)`` positions in ``PALETTE``. An object with up to six neighbours differs
        from all of them. One with more may find no free colour; then it takes the colour that is
        rarest around it.
    """
    neighbours = _neighbours(dense, n_labels)
    colour_of: dict[int, int] = {}
    for label in sorted(range(1, n_labels), key=lambda label: (-len(neighbours[label]), label)):
        used = [colour_of[other] for other in neighbours[label] if other in colour_of]
        # Each label starts at another colour, which spreads the whole palette over the picture.
        order = [(label + step) % len(PALETTE) for step in range(len(PALETTE))]
        colour_of[label] = min(order, key=used.count)
    return np.array([colour_of[label] for label in range(1, n_labels)], dtype=np.intp)


def _neighbours(dense: Array, n_labels: int) -> dict[int, set[int]]:
    height, width = dense.shape
    neighbours: dict[int, set[int]] = defaultdict(set)
    for distance in NEIGHBOUR_DISTANCES:
        for rows, columns in ((0, distance), (distance, 0), (distance, distance)):
            first = dense[: max(height - rows, 0), : max(width - columns, 0)]
            second = dense[rows:, columns:]
            mirrored = dense[: max(height - rows, 0), columns:]
            other = dense[rows:, : max(width - columns, 0)]
            for one, two in ((first, second), (mirrored, other)):
                differ = (one != two) & (one > 0) & (two > 0)
                keys = np.unique(one[differ].astype(np.int64) * n_labels + two[differ])
                for key in keys.tolist():
                    neighbours[key // n_labels].add(key % n_labels)
                    neighbours[key % n_labels].add(key // n_labels)
    return neighbours
