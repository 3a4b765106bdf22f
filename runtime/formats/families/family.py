"""One row of the table of encoder families.

In: a config of the family, or the shapes of a file's tensors. Out: what formats, methods and tools
ask about the family, as plain data. The torch network stands in ``samzoo.training.networks``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from .encoder import EncoderConfig
from .layer_shapes import Shapes
from .shape_reading import ShapeReader

C = TypeVar("C", bound=EncoderConfig)


@dataclass(frozen=True, kw_only=True)
class Family(Generic[C]):
    """A family of image encoders. Names of tensors and modules are those in the encoder."""

    config: type[C]
    """The class of its numbers; ``type`` is its name in ``config.json``."""

    noun: str
    """Its name in sentences, such as ``ViT``."""

    known_from: str
    """Who published its networks."""

    mark: str
    """The start of names that only this family's tensors have."""

    shapes: Callable[[C], Shapes]
    """Numbers to shapes: all tensors but those of the neck, which is the same in each family."""

    detect: Callable[[ShapeReader], C]
    """Shapes to numbers; reads tensors below ``image_encoder``, raises ``FormatError``."""

    block_names: Callable[[C], list[str]]
    """The modules of all attention blocks, in their order."""

    layers: Mapping[str, str]
    """Names in a block of its layers ``norm1``, ``qkv``, ``proj``, ``norm2``, ``lin1``, ``lin2``,
    those with the same arithmetic at the same place."""

    qkv_groups: Callable[[C, str], int]
    """In how many groups the rows of a layer ``qkv`` lie, each of which holds some rows of q, then
    as many of k, then of v."""

    sizes: tuple[str, ...]
    """Names that tools have for its published networks."""

    size: Callable[[C], str]
    """Which of ``sizes`` a network has, by its widths; empty if none."""

    unit_range: Callable[[C], bool]
    """Whether the published network takes images stretched to [0, 1], without statistics."""

    unused: Callable[[C], Shapes]
    """Tensors that the published file holds and no SAM uses; reading drops them, and writing for
    strict tools puts them back."""

    unused_marks: tuple[str, ...] = ()
    """Starts of the names of unused tensors."""
