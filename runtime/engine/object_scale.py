"""The scale at which a model sees objects of another size than those that it was trained on.

In: a model's config, and the objects' diameter or a scale. Out: the config for that image, and the
record of which scale was used and why. An object's diameter is that of the circle of its area.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import (
    MAX_SCALE,
    MAX_SMOOTHING,
    MIN_SCALE,
    AisParameters,
    ModelConfig,
)
from samzoo.runtime.images.geometry import Size

Word = Literal["auto", "own"]

Diameter: TypeAlias = float | Word | None
"""Median diameter of the objects in image pixels; ``auto`` estimates it from the image, ``own``
keeps the model's own scale, and None leaves the choice to the caller's default."""

Origin = Literal["given", "estimated", "boxes", "own"]


@dataclass(frozen=True)
class ObjectScale:
    """The scale at which a model sees an image, and where it comes from.

    Attributes:
        diameter: Diameter of the objects in image pixels that this scale is for; None if the model
            does not say how large its objects were.
        scale: Model pixels an image pixel.
        origin: ``given`` by the caller, ``estimated`` from the image, that of the ``boxes`` of a
            prompt, or the model's ``own``.
        doubt: A sentence without a full stop if an estimate was asked for and is not sure; else
            empty.
    """

    diameter: float | None
    scale: float
    origin: Origin
    doubt: str = ""

    @property
    def changed(self) -> float | None:
        """The diameter for ``at_diameter``: None if the scale is the model's own."""
        return None if self.origin == "own" else self.diameter

    def facts(self) -> dict[str, float | str | None]:
        """Return the values that tables, answers and label files record.

        >>> ObjectScale(21.26, 1.6181, "estimated").facts()
        {'used_diameter': 21.3, 'used_scale': 1.618, 'diameter_from': 'estimated'}
        """
        diameter = None if self.diameter is None else round(self.diameter, 1)
        return {
            "used_diameter": diameter, "used_scale": float(f"{self.scale:.4g}"),
            "diameter_from": self.origin,
        }  # fmt: skip

    def line(self) -> str:
        """Say it in a few words.

        >>> ObjectScale(21.26, 1.0742, "estimated").line()
        'diameter 21 px (estimated), scale 1.1'
        """
        digits = 0 if self.diameter is None or self.diameter >= 10 else 1
        known = "" if self.diameter is None else f"diameter {self.diameter:.{digits}f} px "
        words = {"own": "the model's own", "boxes": "of the boxes"}
        return f"{known}({words.get(self.origin, self.origin)}), scale {self.scale:.2g}"


def check_diameter(config: ModelConfig, diameter: Diameter) -> None:
    """Refuse a diameter that a model cannot use, before any work.

    Raises:
        InputError: The word is unknown, the number is out of range, or the model does not say how
            large the objects were that it was trained on.
    """
    if isinstance(diameter, str):
        if diameter not in get_args(Word):
            raise InputError(
                f"diameter: found {diameter!r}, expected a number of pixels, auto or own"
            )
        if diameter == "auto" and trained_diameter(config) is None:
            raise _unknown_size("auto")
        return
    at_diameter(config, diameter)


def own_scale(config: ModelConfig, size: Size) -> ObjectScale:
    """Return a model's own scale for an image of a size, (height, width)."""
    trained, scale = trained_diameter(config), model_pixels(config, size)
    return ObjectScale(None if trained is None else trained / scale, scale, "own")


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


def model_pixels(config: ModelConfig, size: Size) -> float:
    """Return the model pixels that an image pixel becomes.

    Args:
        config: The model's config.
        size: (height, width) of the image, which counts for a model without a declared scale.
    """
    scale = config.preprocessing.scale
    return config.image_size / max(size) if scale is None else scale


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
        raise _unknown_size(f"{diameter:g}")
    if not (math.isfinite(diameter) and diameter > 0):
        raise InputError(f"diameter: found {diameter}, expected a positive number of pixels")
    scale = trained / diameter
    if not MIN_SCALE <= scale <= MAX_SCALE:
        low, high = trained / MAX_SCALE, trained / MIN_SCALE
        raise InputError(f"diameter: found {diameter:g}, allowed are {low:g} to {high:g} pixels")
    return at_scale(config, scale)


def _unknown_size(found: str) -> InputError:
    return InputError(
        f"diameter: found {found}, but this model does not say how large the objects were "
        "that it was trained on; omit the diameter, and resize the image if need be"
    )


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
