"""The scale at which a model sees objects of another size than those that it was trained on.

In: a model's config, and the objects' diameter or a scale. Out: the config for that image. An
object's diameter is that of the circle of its area.
"""

from __future__ import annotations

import dataclasses
import math

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import (
    MAX_SCALE,
    MAX_SMOOTHING,
    MIN_SCALE,
    AisParameters,
    ModelConfig,
)


def trained_diameter(config: ModelConfig) -> float | None:
    """Return the diameter, in model pixels, of the objects that a model was trained on.

    Args:
        config: The model's config.

    Returns:
        What the config declares, or else what the record of its training says; None if neither
        does.
    """
    if config.preprocessing.object_diameter is not None:
        return config.preprocessing.object_diameter
    found = config.training_images.get("object_diameter")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if math.isfinite(found) and found > 0 else None


def at_diameter(config: ModelConfig, diameter: float | None) -> ModelConfig:
    """Return the config with which a model sees objects at the size that it was trained on.

    Args:
        config: The model's config.
        diameter: Diameter of the image's median object, in image pixels; None changes nothing.

    Returns:
        The config with another scale, and with thresholds in pixels that follow it.

    Raises:
        InputError: The diameter is not a positive number, the model does not know the size that it
            was trained on, or the scale would be out of range.
    """
    if diameter is None:
        return config
    trained = trained_diameter(config)
    if trained is None:
        raise InputError(
            f"diameter: found {diameter:g}, but this model does not say how large the objects were "
            "that it was trained on; omit the diameter, and resize the image if need be"
        )
    if not (math.isfinite(diameter) and diameter > 0):
        raise InputError(f"diameter: found {diameter}, expected a positive number of pixels")
    scale = trained / diameter
    if not MIN_SCALE <= scale <= MAX_SCALE:
        low, high = trained / MAX_SCALE, trained / MIN_SCALE
        raise InputError(f"diameter: found {diameter:g}, allowed are {low:g} to {high:g} pixels")
    return at_scale(config, scale)


def at_scale(config: ModelConfig, scale: float | None) -> ModelConfig:
    """Return a config with another scale.

    Args:
        config: The model's config.
        scale: Model pixels an image pixel; None brings the image's longest side to the model's.

    Returns:
        The config with this scale. The thresholds of AIS that are in image pixels (sigmas and the
        least size) keep their size in model pixels, if both scales are numbers.
    """
    own = config.preprocessing.scale
    if scale == own:
        return config
    ais = config.ais
    if scale is not None and own is not None:
        ais = enlarged(ais, own / scale)
    preprocessing = dataclasses.replace(config.preprocessing, scale=scale)
    return dataclasses.replace(config, preprocessing=preprocessing, ais=ais)


def enlarged(ais: AisParameters, factor: float) -> AisParameters:
    """Return thresholds for an image in which objects are larger by a factor.

    Args:
        ais: Thresholds in pixels of an image.
        factor: How much larger the objects' diameters are in the other image.

    Returns:
        Sigmas times the factor, at most ``MAX_SMOOTHING``, and the least size times its square.
    """
    return dataclasses.replace(
        ais,
        foreground_smoothing=min(ais.foreground_smoothing * factor, MAX_SMOOTHING),
        distance_smoothing=min(ais.distance_smoothing * factor, MAX_SMOOTHING),
        min_size=round(ais.min_size * factor**2),
    )
