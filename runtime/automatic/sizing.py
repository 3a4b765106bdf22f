"""The scale at which a model sees an image: given, estimated from the image, or the model's own.

In: a model, an image and the caller's diameter. Out: an ``ObjectScale``.
"""

from __future__ import annotations

from samzoo.runtime.engine.networks import Networks
from samzoo.runtime.engine.object_scale import (
    Diameter,
    ObjectScale,
    at_diameter,
    check_diameter,
    own_scale,
    trained_diameter,
)
from samzoo.runtime.formats.arrays import Array, Progress
from samzoo.runtime.formats.config import MAX_SCALE, MIN_SCALE, ModelConfig
from samzoo.runtime.images.empty_channels import without_empty_channels
from samzoo.runtime.images.geometry import Size
from samzoo.runtime.images.intensity import Stretch, intensity_limits, is_constant
from samzoo.runtime.images.reading import check_image

from .interest import ArrayPixels, Pixels
from .maps import require_ais
from .size_estimate import estimate_diameter


def scale_of_array(
    networks: Networks,
    config: ModelConfig,
    image: Array,
    diameter: Diameter,
    progress: Progress | None = None,
) -> ObjectScale:
    """Choose the scale at which a model sees an image in memory.

    Args:
        networks: The model's networks.
        config: The model's config.
        image: ``(height, width)`` or ``(height, width, 3)``.
        diameter: A number of image pixels, ``auto``, or ``own`` or None for the model's own scale.
        progress: Called with ("size", tiles done, 0) by ``auto``.

    Returns:
        The scale.

    Raises:
        ImageError: The image cannot be used.
        InputError: The diameter cannot be used, or ``auto`` needs an AIS decoder that is missing.
    """
    image = without_empty_channels(check_image(image))
    size = (image.shape[0], image.shape[1])
    if diameter != "auto":
        return stated_scale(config, size, diameter)
    require_size(config)
    if is_constant(image):
        return unsure_scale(config, size)
    limits = intensity_limits(image, config.preprocessing)
    return estimated_scale(networks, config, ArrayPixels(image), limits, progress)


def stated_scale(config: ModelConfig, size: Size, diameter: Diameter) -> ObjectScale:
    """Return the scale of a diameter that needs no look at the image.

    Args:
        config: The model's config.
        size: (height, width) of the image.
        diameter: A number of image pixels, or ``own`` or None for the model's own scale.

    Raises:
        InputError: The diameter cannot be used.
    """
    check_diameter(config, diameter)
    if diameter is None or isinstance(diameter, str):
        return own_scale(config, size)
    scale = at_diameter(config, diameter).preprocessing.scale
    assert scale is not None
    return ObjectScale(float(diameter), scale, "given")


def require_size(config: ModelConfig) -> None:
    """Refuse to estimate sizes with a model that cannot.

    Raises:
        InputError: The model has no AIS decoder, or does not say how large its objects were.
    """
    check_diameter(config, "auto")
    require_ais(config)


def estimated_scale(
    networks: Networks,
    config: ModelConfig,
    pixels: Pixels,
    limits: Stretch,
    progress: Progress | None = None,
) -> ObjectScale:
    """Estimate the scale of an image that is read in windows; see ``size_estimate.py``.

    Args:
        networks: The model's networks.
        config: The model's config, which ``require_size`` allows.
        pixels: The image, not constant.
        limits: Its intensities that become 0 and 255.
        progress: Called with ("size", tiles done, 0).

    Returns:
        The scale; the model's own, with a doubt, if the model is not sure.
    """
    found = estimate_diameter(networks, config, pixels, limits=limits, progress=progress)
    trained = trained_diameter(config)
    assert trained is not None
    if found.diameter is None or not MIN_SCALE <= trained / found.diameter <= MAX_SCALE:
        return unsure_scale(config, pixels.size)
    return ObjectScale(found.diameter, trained / found.diameter, "estimated")


def unsure_scale(config: ModelConfig, size: Size) -> ObjectScale:
    """Return a model's own scale for an image of a size, with the doubt that says why."""
    own = own_scale(config, size)
    doubt = (
        "the size of the objects could not be estimated, so the model's own scale is used, for "
        f"objects of about {own.diameter:.0f} pixels: say how large they are (diameter)"
    )
    return ObjectScale(own.diameter, own.scale, "own", doubt)
