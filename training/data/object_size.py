"""The scale of training and validation images: at what size a model sees their objects.

In: annotated images, a base's preprocessing, settings. Out: the preprocessing that the model
declares, and that of each image. An object's diameter is that of the circle of its area.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from samzoo.runtime.errors import ImageError
from samzoo.runtime.formats.config import MAX_SCALE, MIN_SCALE, Preprocessing
from samzoo.runtime.images.label_arrays import equivalent_diameters, median_object_diameter

from .annotated import AnnotatedImage
from .samples import scaled_size

MOST_CHANGE = 4.0
"""Largest factor between an image's own scale and that of all images (own choice: remains of
annotation in an image would else enlarge it without bounds)."""


def median_diameter(annotated: Sequence[AnnotatedImage]) -> float:
    """Return the objects' median diameter in image pixels.

    Raises:
        ImageError: There is no object.
    """
    areas = np.concatenate([a.areas for a in annotated])
    if areas.size == 0:
        raise ImageError("no training image holds an object; check the label images")
    return median_object_diameter(areas)


def declared(
    preprocessing: Preprocessing,
    annotated: Sequence[AnnotatedImage],
    *,
    image_size: int,
    object_diameter: float,
    by_image: bool,
) -> Preprocessing:
    """Return the preprocessing that a model declares after training.

    Args:
        preprocessing: The base's, or the one that the config gives instead.
        annotated: The training images.
        image_size: Side of the encoder's input.
        object_diameter: Wanted diameter of the median object in model pixels; 0 keeps the scale.
        by_image: Whether each image is brought to the diameter by its own median object. Without
            ``object_diameter`` it is then the median of all objects at the scale as it is.

    Returns:
        The preprocessing, with ``object_diameter``, and with the scale at which the median of all
        objects has it, if one is wanted.

    Raises:
        ImageError: There is no object.
    """
    diameter = median_diameter(annotated)
    if object_diameter:
        scale = min(max(object_diameter / diameter, MIN_SCALE), MAX_SCALE)
        return dataclasses.replace(
            preprocessing, scale=round(scale, 2), object_diameter=object_diameter
        )
    if not by_image:
        return preprocessing
    seen = [
        equivalent_diameters(a.areas) * _common_scale(a, preprocessing, image_size)
        for a in annotated
    ]
    median = float(np.median(np.concatenate(seen)))
    return dataclasses.replace(preprocessing, object_diameter=round(max(median, 1.0), 1))


def at_own_scale(
    annotated: AnnotatedImage, preprocessing: Preprocessing, *, image_size: int
) -> Preprocessing:
    """Return the preprocessing at which an image's own median object has the declared diameter.

    Args:
        annotated: The image.
        preprocessing: From ``declared``.
        image_size: Side of the encoder's input.

    Returns:
        The same with the image's scale, at most ``MOST_CHANGE`` times larger or smaller than that
        of all images. Unchanged if no diameter is declared or the image has no object.
    """
    areas = annotated.areas
    if preprocessing.object_diameter is None or not len(areas):
        return preprocessing
    own = preprocessing.object_diameter / median_object_diameter(areas)
    common = _common_scale(annotated, preprocessing, image_size)
    scale = min(max(own, common / MOST_CHANGE), common * MOST_CHANGE)
    return dataclasses.replace(preprocessing, scale=min(max(scale, MIN_SCALE), MAX_SCALE))


def _common_scale(
    annotated: AnnotatedImage, preprocessing: Preprocessing, image_size: int
) -> float:
    size = annotated.size
    return scaled_size(size, preprocessing.scale, image_size)[0] / float(size[0])
