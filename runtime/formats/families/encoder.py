"""What the numbers of every image encoder have, whatever its family, and the checks on them.

In: numbers. Out: checked fields. The classes of the families derive from ``EncoderConfig``.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

from samzoo.runtime.budgets import MAX_LAYERS
from samzoo.runtime.errors import FormatError, shown

MAX_IMAGE_SIZE = 4096
"""Largest side of an encoder's input, four times SAM's (own choice: configs are not trusted)."""


@dataclass(frozen=True, kw_only=True)
class AdaptFormerConfig:
    """Bottlenecks beside the MLPs of some blocks, which AdaptFormer trains and which do not fold.

    ``projection`` is their width, ``blocks`` the blocks that have one, counted from 0 over all
    blocks with attention. ``identity`` leaves out the second sum with the MLP's input; see
    ``samzoo.training.methods.adaptformer``.
    """

    projection: int = 64
    blocks: tuple[int, ...] = ()
    identity: bool = False

    def __post_init__(self) -> None:
        check_positive(self, "projection", where="image_encoder.adaptformer")
        if not self.blocks or list(self.blocks) != sorted({b for b in self.blocks if b >= 0}):
            raise FormatError(
                "image_encoder.adaptformer.blocks: expected different block indices from 0, "
                f"sorted, found {list(self.blocks)}"
            )


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(ABC):
    """The numbers of an image encoder. All fields of a family's class have a default."""

    @property
    @abstractmethod
    def type(self) -> str:
        """The family, as ``config.json`` names it."""

    @property
    @abstractmethod
    def image_size(self) -> int:
        """Side of the encoder's input, in pixels."""

    @property
    @abstractmethod
    def grid(self) -> int:
        """Side of the image embeddings."""

    @property
    @abstractmethod
    def channels(self) -> int:
        """Channels of the last block, which the neck reduces to those of the embeddings."""

    @property
    @abstractmethod
    def adaptformer(self) -> AdaptFormerConfig | None:
        """The bottlenecks beside some blocks, if there are any."""

    def replaced(self, **changes: Any) -> Self:
        """Return the same numbers but for some fields; checks them as the class does."""
        return dataclasses.replace(self, **changes)


def check_positive(config: object, *names: str, where: str = "image_encoder") -> None:
    """Refuse fields that are zero or negative, or hold such numbers.

    Raises:
        FormatError: Names the field and what was found.
    """
    for name in names:
        value = getattr(config, name)
        if any(number <= 0 for number in (value if isinstance(value, tuple) else (value,))):
            raise FormatError(f"{where}.{name}: must be positive, found {value}")


def check_layers(config: object, *names: str, where: str = "image_encoder") -> None:
    """Refuse more blocks, stages or heads than any network has: what lists them would never end.

    Raises:
        FormatError: Names the field, and what is allowed.
    """
    for name in names:
        value = getattr(config, name)
        numbers = value if isinstance(value, tuple) else (value,)
        if max([*numbers, len(numbers)]) > MAX_LAYERS:
            raise FormatError(f"{where}.{name}: found {shown(value)}, allowed is {MAX_LAYERS}")


def check_sides(image_size: int, grid: int) -> None:
    """Refuse an image that is too large, or too small for one embedding.

    Raises:
        FormatError: Names the size, and what is allowed.
    """
    if image_size > MAX_IMAGE_SIZE or grid < 1:
        raise FormatError(
            f"image_encoder.image_size: found {image_size}, which makes embeddings of {grid} x "
            f"{grid}; allowed are sizes up to {MAX_IMAGE_SIZE} and embeddings from 1 x 1"
        )


def check_adaptformer(config: AdaptFormerConfig | None, blocks: int) -> None:
    """Refuse bottlenecks in blocks that the encoder lacks; ``blocks`` is how many it has.

    Raises:
        FormatError: Names the largest index, and what is allowed.
    """
    if config is not None and config.blocks[-1] >= blocks:
        raise FormatError(
            f"image_encoder.adaptformer.blocks: there are blocks 0 to {blocks - 1}, found "
            f"{config.blocks[-1]}"
        )
