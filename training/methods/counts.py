"""The number of parameters that a method trains, from the config's numbers alone.

In: a method and an architecture. Out: counts by part of the model. No torch is needed and no
weights are made, so ViT-H costs no memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from samzoo.runtime.formats.architecture import AisDecoderConfig, Architecture
from samzoo.runtime.formats.shapes import STATISTICS, ais_decoder_shapes, tensor_shapes

from . import mask_decoder_lora
from .layers import Shapes
from .method import Method, S

BUFFERS = (*STATISTICS, "positional_encoding_gaussian_matrix")
"""Last parts of the names of tensors that are not parameters."""


@dataclass(frozen=True)
class Counts:
    """Numbers of trainable parameters of a method, by part of the model.

    Attributes:
        image_encoder: Parameters of the encoder, its own and added ones.
        decoders: Parameters of the prompt encoder and the mask decoder.
        ais_decoder: Parameters of an AIS decoder.
    """

    image_encoder: int
    decoders: int
    ais_decoder: int

    @property
    def trainable(self) -> int:
        """Number of trainable parameters without an AIS decoder."""
        return self.image_encoder + self.decoders

    @property
    def trainable_with_ais_decoder(self) -> int:
        """Number of trainable parameters with an AIS decoder."""
        return self.trainable + self.ais_decoder


def count_trainable(
    method: Method[S],
    architecture: Architecture,
    settings: S,
    ais_decoder: AisDecoderConfig,
) -> Counts:
    """Count the parameters that a method trains.

    Args:
        method: A row of ``METHODS``.
        architecture: The networks; their own AIS decoder does not count.
        settings: The method's settings.
        ais_decoder: The AIS decoder that counts.

    Raises:
        FormatError: The encoder lacks one of the blocks that the settings name.
    """
    encoder = method.trainable(parameters_of("image_encoder", architecture), architecture, settings)
    mask_decoder = mask_decoder_lora.trainable(
        parameters_of("mask_decoder", architecture), settings
    )
    prompt_encoder = parameters_of("prompt_encoder", architecture)
    return Counts(
        image_encoder=_sum(encoder),
        decoders=_sum(mask_decoder) + _sum(prompt_encoder),
        ais_decoder=_sum(_parameters(ais_decoder_shapes(ais_decoder))),
    )


def parameters_of(part: str, architecture: Architecture) -> dict[str, tuple[int, ...]]:
    """List the parameters of a part, such as ``image_encoder``, by their names in that part."""
    prefix = f"{part}."
    return _parameters(
        {
            name.removeprefix(prefix): shape
            for name, shape in tensor_shapes(architecture).items()
            if name.startswith(prefix)
        }
    )


def _parameters(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {name: shape for name, shape in shapes.items() if name.rpartition(".")[2] not in BUFFERS}


def _sum(shapes: Shapes) -> int:
    return sum(prod(shape) for shape in shapes.values())
