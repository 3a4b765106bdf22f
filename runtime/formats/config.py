"""The description of a model: the dataclasses behind ``config.json``.

In: a JSON object. Out: frozen, checked dataclasses. No other module defines a pixel mean or a
threshold. The networks' numbers are in ``architecture.py``, the parsing is in ``fields.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from samzoo.runtime.errors import FormatError

from .architecture import MASK_PIXELS, Architecture
from .fields import IF_SET, check_format, from_json, to_json
from .files import read_json

MODEL_FORMAT = "samzoo-model"
MODEL_VERSION = 1

SAM_PIXEL_MEAN = (123.675, 116.28, 103.53)
SAM_PIXEL_STD = (58.395, 57.12, 57.375)
"""ImageNet statistics on 0..255. Source: segment-anything, ``build_sam.py``."""

PERCENTILES = (0.1, 99.9)
"""Percentiles that new bases of LiteMedSAM stretch between (own choice, see decision 26): a bright
pixel moves no limit, and objects seldom saturate."""

IMAGES = "images"
"""Where the record of the training images stands in ``ModelConfig.source["training"]``."""

MASK_THRESHOLD = 0.0
"""A mask is where the logits lie above this. Source: segment-anything, ``modeling/sam.py``."""

MIN_SCALE, MAX_SCALE = 0.01, 100.0
"""Model pixels an image pixel that a model may have (own choice)."""

MAX_SMOOTHING = 100
"""Largest sigma in pixels: more would smooth whole objects away (own choice)."""


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How an image becomes the encoder's input, in this order.

    1. ``intensity``: ``none`` keeps 8-bit images and stretches others from their minimum and
       maximum to 0..255; ``min_max`` always stretches; ``percentile`` stretches between
       ``percentiles`` and clips. Statistics are of the whole image, over all channels.
    2. Resize by ``scale`` (model pixels per image pixel), or the longest side to the network's
       image size where ``scale`` is None.
    3. Inside the encoder graph: ``gamma`` on the 0..1 range, then ``(x - pixel_mean) /
       pixel_std``, then zero padding at the right and bottom.

    ``object_diameter`` is the diameter in model pixels that training brought the median object of
    its images to; None if it is not known. An object's diameter is that of the circle of its area.
    """

    intensity: Literal["none", "min_max", "percentile"] = "none"
    percentiles: tuple[float, float] = (0.0, 100.0)
    gamma: float = 1.0
    scale: float | None = None
    pixel_mean: tuple[float, float, float] = SAM_PIXEL_MEAN
    pixel_std: tuple[float, float, float] = SAM_PIXEL_STD
    object_diameter: float | None = field(default=None, metadata={IF_SET: True})

    def __post_init__(self) -> None:
        low, high = self.percentiles
        if not 0 <= low < high <= 100:
            raise FormatError(
                f"preprocessing.percentiles: expected 0 <= low < high <= 100, found {low}, {high}"
            )
        if self.gamma <= 0:
            raise FormatError(f"preprocessing.gamma: must be positive, found {self.gamma}")
        if self.scale is not None and not MIN_SCALE <= self.scale <= MAX_SCALE:
            raise FormatError(
                f"preprocessing.scale: allowed is {MIN_SCALE:g} to {MAX_SCALE:g} or null, found "
                f"{self.scale}"
            )
        if self.object_diameter is not None and not 1 <= self.object_diameter <= 10_000:
            raise FormatError(
                "preprocessing.object_diameter: allowed is 1 to 10000 model pixels or null, found "
                f"{self.object_diameter}"
            )
        if min(self.pixel_std) <= 0:
            raise FormatError(f"preprocessing.pixel_std: must be positive, found {self.pixel_std}")


@dataclass(frozen=True, kw_only=True)
class AisParameters:
    """Thresholds of the AIS post-processing. Defaults: micro-sam 1.8.14's.

    Source: micro-sam 1.8.14, ``instance_segmentation.py``. Smoothings are Gaussian sigmas in
    pixels of the image, ``min_size`` is in pixels.
    """

    foreground_threshold: float = 0.5
    center_distance_threshold: float = 0.5
    boundary_distance_threshold: float = 0.5
    foreground_smoothing: float = 1.0
    distance_smoothing: float = 1.6
    min_size: int = 0

    def __post_init__(self) -> None:
        for name in ("foreground_smoothing", "distance_smoothing"):
            if not 0 <= getattr(self, name) <= MAX_SMOOTHING:
                raise FormatError(
                    f"ais.{name}: allowed is 0 to {MAX_SMOOTHING}, found {getattr(self, name)}"
                )
        if self.min_size < 0:
            raise FormatError(f"ais.min_size: must not be negative, found {self.min_size}")


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The content of a base's or model's ``config.json``.

    Attributes:
        architecture: The networks in numbers.
        preprocessing: From image to encoder input.
        ais: Thresholds of the automatic segmentation.
        weights_digest: Identity of ``model.safetensors``; see ``docs/formats.md``.
        source: Where the weights came from: names, hashes, licence, method, hyperparameters.
    """

    architecture: Architecture
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    ais: AisParameters = field(default_factory=AisParameters)
    weights_digest: str = ""
    source: dict[str, Any] = field(default_factory=dict)

    @property
    def image_size(self) -> int:
        """Side of the square that the encoder sees, in pixels."""
        return self.architecture.image_encoder.image_size

    @property
    def training_images(self) -> Mapping[str, Any]:
        """What the record of the training says of its images; empty if it says nothing."""
        training = self.source.get("training")
        images = training.get(IMAGES) if isinstance(training, Mapping) else None
        return images if isinstance(images, Mapping) else {}

    @property
    def grid(self) -> int:
        """Side of the image embeddings."""
        return self.architecture.image_encoder.grid

    @property
    def mask_side(self) -> int:
        """Side of low-resolution logits and of mask inputs, in pixels."""
        return MASK_PIXELS * self.grid

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object, with format name and version first."""
        return {"format": {"name": MODEL_FORMAT, "version": MODEL_VERSION}, **to_json(self)}

    @classmethod
    def read(cls, path: Path) -> ModelConfig:
        """Read and check a ``config.json``.

        Args:
            path: The file.

        Returns:
            The config; what the file leaves out has its default.

        Raises:
            NotFoundError: There is no such file.
            FormatError: Wrong format, newer version, unknown key or a value out of range.
        """
        value = read_json(path)
        check_format(value, MODEL_FORMAT, MODEL_VERSION, where=str(path))
        value.pop("format")
        return from_json(cls, value, where=str(path))
