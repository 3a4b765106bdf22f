"""Methods that add nothing but choose which of the encoder's own weights train.

- ``full``: all of them, or whole blocks if ``blocks`` names some; ``freeze_encoder``: none.
- ``late_full``: whole blocks, the last ones. ``attention``: the attention's linear layers and
  position terms. ``bias``: every bias. ``layernorm``: both LayerNorms.

Except in ``full`` on all blocks, all weights outside the blocks are frozen: patch embedding,
position embedding, neck, and the convolutions of a TinyViT.

Source: Teuber et al., PEFT-SAM (MIDL 2025), section 2; micro-sam 1.8.14, ``models/peft_sam.py``
(``ClassicalSurgery``, ``AttentionSurgery``, ``BiasSurgery``, ``LayerNormSurgery``). TinyViT is not
among the reference's encoders; its layers are chosen as ``layers.py`` says (own choice).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.fields import check_types

from .blocks import Blocks, check_blocks, chosen_names
from .checks import SECTION
from .layers import Shapes, block_layers

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, kw_only=True)
class FrozenSettings:
    """The settings of a method that trains nothing in the encoder; there are none."""


@dataclass(frozen=True, kw_only=True)
class SelectiveSettings:
    """The settings of a method that trains the encoder's own weights.

    Attributes:
        blocks: See ``blocks.py``.
    """

    blocks: Blocks = None

    def __post_init__(self) -> None:
        check_types(self, where=SECTION)
        check_blocks(self.blocks)


T = TypeVar("T")

Trainable = Callable[[Shapes, Architecture, T], dict[str, tuple[int, ...]]]
"""A function that chooses the trainable parameters of an encoder by the settings."""


def trainable_full(
    shapes: Shapes, architecture: Architecture, settings: SelectiveSettings
) -> dict[str, tuple[int, ...]]:
    """Choose every weight of the encoder, or those of the chosen blocks."""
    if settings.blocks is None:
        return dict(shapes)
    return trainable_blocks(shapes, architecture, settings)


def trainable_none(
    shapes: Shapes, architecture: Architecture, settings: object
) -> dict[str, tuple[int, ...]]:
    """Choose nothing."""
    return {}


def trainable_blocks(
    shapes: Shapes, architecture: Architecture, settings: SelectiveSettings
) -> dict[str, tuple[int, ...]]:
    """Choose whole blocks; the rest of the encoder is frozen, even if all blocks are chosen."""
    config = architecture.image_encoder
    prefixes = tuple(f"{block}." for block in chosen_names(config, settings.blocks))
    return {name: shape for name, shape in shapes.items() if name.startswith(prefixes)}


def trainable_attention(
    shapes: Shapes, architecture: Architecture, settings: SelectiveSettings
) -> dict[str, tuple[int, ...]]:
    """Choose ``qkv`` and ``proj`` with biases, and the relative positions or attention biases.

    TinyViT has its first LayerNorm inside the attention, segment-anything's ViT outside; it is
    frozen in both.
    """
    layers = block_layers(architecture.image_encoder)
    return _in_blocks(
        shapes,
        architecture,
        settings,
        lambda name: name.startswith("attn.") and not name.startswith(f"{layers['norm1']}."),
    )


def trainable_bias(
    shapes: Shapes, architecture: Architecture, settings: SelectiveSettings
) -> dict[str, tuple[int, ...]]:
    """Choose the biases of the six layers of a block, LayerNorms included."""
    names = {f"{layer}.bias" for layer in block_layers(architecture.image_encoder).values()}
    return _in_blocks(shapes, architecture, settings, names.__contains__)


def trainable_layernorm(
    shapes: Shapes, architecture: Architecture, settings: SelectiveSettings
) -> dict[str, tuple[int, ...]]:
    """Choose weight and bias of both LayerNorms of a block."""
    layers = block_layers(architecture.image_encoder)
    prefixes = (f"{layers['norm1']}.", f"{layers['norm2']}.")
    return _in_blocks(shapes, architecture, settings, lambda name: name.startswith(prefixes))


def _in_blocks(
    shapes: Shapes,
    architecture: Architecture,
    settings: SelectiveSettings,
    wanted: Callable[[str], bool],
) -> dict[str, tuple[int, ...]]:
    """Choose parameters of the chosen blocks by their names inside the block."""
    blocks = chosen_names(architecture.image_encoder, settings.blocks)
    return {
        name: shape
        for name, shape in shapes.items()
        for block in blocks
        if name.startswith(f"{block}.") and wanted(name[len(block) + 1 :])
    }


def attach(
    encoder: nn.Module,
    architecture: Architecture,
    settings: T,
    *,
    trainable: Trainable[T],
) -> None:
    """Freeze the encoder, except the weights that ``trainable`` chooses."""
    parameters = dict(encoder.named_parameters())
    shapes = {name: tuple(value.shape) for name, value in parameters.items()}
    chosen = trainable(shapes, architecture, settings)
    for name, parameter in parameters.items():
        parameter.requires_grad_(name in chosen)


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    settings: object,
) -> Tensors:
    """Replace weights by their finetuned versions.

    Raises:
        FormatError: A tensor is not in the base, or has another shape.
    """
    for name, value in delta.items():
        if name not in base or base[name].shape != value.shape:
            found = "nothing" if name not in base else f"shape {base[name].shape}"
            raise FormatError(
                f"adapter tensor {shown(name)} has shape {value.shape}, the base has {found}"
            )
    return dict(delta)
