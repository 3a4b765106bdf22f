"""Parts that two sets of images have in common: crops, and tiles that overlap.

In: images for training and for validation. Out: a sentence if validation shows what was learned.

A picture is known by hashes of small windows, at places that the windows themselves choose, so that
a part of it is known by some of them wherever it was cut out (winnowing: Schleimer, Wilkerson and
Aiken, SIGMOD 2003). Parts that were rescaled or compressed again are not recognised.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.images.empty_channels import without_empty_channels

from .views import eight_views

WINDOW = 12
"""Side of a window in pixels (own choice)."""

ONE_IN = 256
"""Windows of which one is kept (own choice: 40 of an image of 100 x 100 pixels)."""

LEAST_CHANGES = 0.25
"""Share of a window's pixels that differ from their left neighbour; windows with fewer look alike
in many images, such as flat ground with a drawn edge (own choice)."""

FEWEST, SHARE = 3, 0.05
"""Windows, and share of an image's windows, that must be known elsewhere (own choice: hashes of 64
bits do not meet by chance)."""

MOST_TURNED = 2**24
"""Pixels of all validation images up to which they are also compared mirrored and turned, which
takes eight times as long (own choice: 20 seconds)."""

_ROWS = 1024
"""Rows that are hashed at once, which bounds the memory (own choice)."""

_ODD, _DOWN, _ACROSS = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
"""Odd numbers without structure. Source: xxHash's primes and the golden ratio in 64 bits."""


def windows_of(image: Array) -> NDArray[np.uint64]:
    """Return hashes of some windows of an image, sorted, each once.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.
    """
    found = [_hashes(band) for band in _bands(without_empty_channels(image))]
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)


def about_overlap(
    training: Iterable[Array], validation: Iterable[tuple[str, Array]], *, pixels: int
) -> list[str]:
    """Say if validation images share parts with training images, a few also mirrored or turned.

    Args:
        training: The images that are learned; one at a time is held, and numbers that are a 32th of
            their pixels.
        validation: The images that validate, with their names.
        pixels: Pixels of all validation images.

    Returns:
        One sentence, or none.
    """
    found = [windows_of(image) for image in training]
    learned = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)
    turned = pixels <= MOST_TURNED
    count, shared = 0, []
    for name, image in validation:
        count += 1
        if _is_known(image, learned, turned=turned):
            shared.append(name)
    if not shared:
        return []
    return [
        f"{len(shared)} of {count} validation images share parts with training images, "
        f"as crops and overlapping tiles do ({', '.join(shared[:3])}): their scores are too good. "
        "Take images of other fields for validation"
    ]


def _is_known(image: Array, learned: NDArray[np.uint64], *, turned: bool) -> bool:
    for view in eight_views(image) if turned else [image]:
        own = windows_of(view)
        known = np.isin(own, learned, assume_unique=True).sum()
        if known >= max(FEWEST, SHARE * len(own)):
            return True
    return False


def _bands(image: Array) -> Iterator[NDArray[np.uint64]]:
    """Yield the values as whole numbers, in bands that share the rows of a window."""
    if min(image.shape[:2]) < WINDOW:
        return
    for start in range(0, image.shape[0] - WINDOW + 1, _ROWS):
        band = np.ascontiguousarray(image[start : start + _ROWS + WINDOW - 1])
        values = band.view(f"u{band.dtype.itemsize}").astype(np.uint64)
        if values.ndim == 3:
            values = values @ np.array([1, _DOWN, _ODD], np.uint64)
        yield values


def _hashes(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (values + np.uint64(1)) * np.uint64(_ODD)
    mixed ^= mixed >> np.uint64(29)
    across = _summed(mixed.T, _ACROSS).T
    hashes = _summed(across, _DOWN)
    changes = np.zeros(values.shape, np.uint64)
    changes[:, 1:] = values[:, 1:] != values[:, :-1]
    varied = _summed(_summed(changes.T, 1).T, 1) >= LEAST_CHANGES * WINDOW**2
    last = (hashes * np.uint64(_ODD)) >> np.uint64(32)
    kept: NDArray[np.uint64] = hashes[varied & (last % np.uint64(ONE_IN) == 0)]
    return kept


def _summed(rows: NDArray[np.uint64], factor: int) -> NDArray[np.uint64]:
    """Return sums of ``WINDOW`` rows from each on, the first times 1, the next times factor, ...

    Modulo 2**64 an odd factor can be divided by, so a sum is the difference of two running sums.
    """
    count = len(rows) - WINDOW + 1
    powers = _powers(factor, len(rows))
    running = np.zeros((len(rows) + 1, rows.shape[1]), np.uint64)
    np.cumsum(rows * powers, axis=0, out=running[1:])
    return (running[WINDOW:] - running[:count]) * _powers(pow(factor, -1, 2**64), count)


def _powers(factor: int, count: int) -> NDArray[np.uint64]:
    factors = np.full((count, 1), factor, np.uint64)
    factors[:1] = 1
    powers: NDArray[np.uint64] = np.cumprod(factors, axis=0, dtype=np.uint64)
    return powers
