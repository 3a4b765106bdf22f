"""What an image shows, as a short text: equal for the same picture in any container.

In: images. Out: identities, by which one finds images that are both trained and tested on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array

from .views import eight_views

_DIGITS = 16
"""Hexadecimal digits of an identity; 64 bits tell a million images apart (own choice)."""


def content_identity(image: Array) -> str:
    """Return an identity of the picture: the same in PNG and TIFF, 8 and 16 bits, mirrored, turned.

    Only the order of the values counts, so that 16 bits or floats of the same picture are the same;
    an RGB image of three equal channels counts as grey. The eight mirrored and turned copies are
    the same picture, because offline augmentation makes them.

    Args:
        image: ``(height, width)`` or ``(height, width, 3)``.

    Returns:
        16 hexadecimal digits; empty for an image of one value, which shows nothing to recognise.
    """
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]
    values, ranks = np.unique(image, return_inverse=True)
    if len(values) == 1:
        return ""
    steps = ranks.reshape(image.shape).astype(np.uint32)
    return min(_digest(view) for view in eight_views(steps))


def _digest(array: NDArray[np.uint32]) -> str:
    digest = hashlib.sha256(str(array.shape).encode())
    digest.update(array.astype("<u4").tobytes())
    return digest.hexdigest()[:_DIGITS]


def refuse_shared(training: Mapping[str, str], validation: Mapping[str, str]) -> None:
    """Refuse validation images that are also trained on.

    Args:
        training: The names of training images, by identity.
        validation: The names of validation images, by identity.

    Raises:
        InputError: An image is in both.
    """
    shared = sorted((set(training) & set(validation)) - {""}, key=lambda each: training[each])
    if shared:
        first = shared[0]
        raise InputError(
            f"{len(shared)} of {len(validation)} validation images are training images too (by "
            f"their pixels, perhaps mirrored or turned): {validation[first]} is {training[first]}. "
            "Scores on images that were learned say nothing; take other images for validation, or "
            "give none and samzoo sets a part aside"
        )


def about_seen(identities: Sequence[str], source: Mapping[str, object]) -> list[str]:
    """Say which images a model was made with.

    Args:
        identities: Identities of the images that it is scored on.
        source: The model's or adapter's ``source``, as training writes it.

    Returns:
        A sentence if it learned from some, and one if its checkpoint and thresholds were chosen on
        some; neither if it was trained elsewhere and nobody knows.
    """
    training = source.get("training")
    contents = training.get("contents") if isinstance(training, Mapping) else None
    said = []
    for role, did in _ROLES.items():
        known = contents.get(role) if isinstance(contents, Mapping) else None
        count = sum(each in known for each in identities if each) if isinstance(known, list) else 0
        if count:
            said.append(
                f"{count} of {len(identities)} images are those that {did}; scores on them are too "
                "good, so leave them out"
            )
    return said


_ROLES = {
    "training": "this model was trained on",
    "validation": "this model's checkpoint and thresholds were chosen on",
}
