"""A finetuning method as a row of the table: what it does, and what it can do.

In: the functions of a method's own module. Out: a row. One function reads and checks the settings
of all rows. Code that handles adapters asks the row what the method can do, never for its name. No
torch is needed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.runtime.formats.four_bit import Quantization
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.runtime.formats.shapes import is_statistic

from .blocks import InBlocks, block_names, chosen_blocks
from .checks import SECTION
from .selective import Trainable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from torch import nn

S = TypeVar("S", bound="DataclassInstance")
"""The settings of a method."""

FROZEN_SHARE = 0.5
"""Part of the encoder's blocks that must be frozen at its start so that crops are cached (own
choice: less saves little, and a fixed set of crops shows a model less)."""

Attach = Callable[["nn.Module", Architecture, S], None]
Fold = Callable[[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]], Architecture, S], Tensors]
Extended = Callable[[Architecture, S], Architecture]
TrainedBase = Callable[[str, NDArray[Any], S], NDArray[Any]]


@dataclass(frozen=True)
class Quantized(Generic[S]):
    """The declaration of a method that trains over rounded weights.

    Attributes:
        of: Name of the method that trains the same tensors over the base's unrounded weights.
        quantization: Says how the weights are rounded.
        trained_base: Returns an encoder weight as the network used it in training, from its name
            and the base's weight.
    """

    of: str
    quantization: Callable[[S], Quantization]
    trained_base: TrainedBase[S]


@dataclass(frozen=True)
class Method(Generic[S]):
    """One finetuning method of the image encoder.

    The prompt encoder, the mask decoder and the AIS decoder are trained with every method.

    Attributes:
        formula: The change to a weight or output, in one line.
        placement: The layers of a block that it changes, in one line.
        defaults: The settings that count if none are given.
        attach: Makes the encoder trainable in the method's way.
        trainable: Lists the trainable tensors of the encoder, names and shapes, from the encoder's
            own shapes.
        fold: Returns the encoder weights that the adapter changes, merged.
        frozen: Whether nothing in the encoder trains, so that embeddings can be computed once.
        selective: Whether the method adds no tensors but trains the encoder's own weights.
        factored: Whether the method trains LoRA factors, with ``LoraSettings``. Such deltas can be
            summed, and can share one encoder.
        folds: Whether merging gives plain weights of the base's architecture. If not, ``fold``
            returns named extra weights, and ``extended`` the architecture with them.
        late_of: Name of the method whose late form this is: the same method with other defaults.
        quantized: How the base is rounded; None if training does not round it.
        shares: Whether layers share tensors of the delta, so that the delta folds only as a whole.
        kept: Last parts of the names of tensors that an adapter stores even if they do not train.
        extended: The architecture of the finetuned network; by default the base's.
    """

    formula: str
    placement: str
    defaults: S
    attach: Attach[S]
    trainable: Trainable[S]
    fold: Fold[S]
    frozen: bool = False
    selective: bool = False
    factored: bool = False
    folds: bool = True
    late_of: str | None = None
    quantized: Quantized[S] | None = None
    shares: Callable[[S], bool] = lambda settings: False
    kept: tuple[str, ...] = ()
    extended: Extended[S] = lambda architecture, settings: architecture

    def settings(self, given: Mapping[str, Any], *, where: str = "method") -> S:
        """Read the hyperparameters of a config; missing ones have their defaults.

        Args:
            given: Values by name.
            where: Names the file in messages.

        Raises:
            FormatError: A name is unknown, or a value has another type or is out of range.
        """
        if not isinstance(given, Mapping):
            raise FormatError(f"{where}: {SECTION}: expected an object, found {shown(given)}")
        values = {**to_json(self.defaults), **given}
        return from_json(type(self.defaults), values, where=f"{where}: {SECTION}")

    def resolved(self, settings: S, architecture: Architecture) -> S:
        """Replace ``blocks: late`` by the indices of these blocks in an architecture.

        Args:
            settings: This method's settings.
            architecture: The base's networks.

        Raises:
            FormatError: The encoder lacks one of the blocks.
        """
        if not isinstance(settings, InBlocks) or settings.blocks is None:
            return settings
        blocks = chosen_blocks(architecture.image_encoder, settings.blocks)
        return dataclasses.replace(settings, blocks=tuple(blocks))

    def frozen_share(self, settings: S, architecture: Architecture) -> float:
        """Return the part of the encoder's blocks before the first one that trains, 0 to 1.

        Args:
            settings: This method's settings.
            architecture: The base's networks.

        Raises:
            FormatError: The encoder lacks one of the blocks.
        """
        if self.frozen:
            return 1.0
        settings = self.resolved(settings, architecture)
        if not isinstance(settings, InBlocks) or not isinstance(settings.blocks, tuple):
            return 0.0
        return settings.blocks[0] / len(block_names(architecture.image_encoder))

    def quantization(self, settings: S) -> Quantization | None:
        """Return how the base was rounded in training; None if it was not."""
        return self.quantized.quantization(settings) if self.quantized is not None else None

    def check_delta(
        self,
        base: Mapping[str, Any],
        delta: Mapping[str, Any],
        architecture: Architecture,
        settings: S,
    ) -> None:
        """Check that an adapter holds exactly the encoder's tensors that the method trains.

        A method that does not fold checks this in ``fold``, because it also stores fixed numbers.

        Args:
            base: Encoder weights by full SAM names; only their shapes are used.
            delta: The adapter's tensors of the encoder, by full names.
            architecture: The base's networks.
            settings: This method's settings.

        Raises:
            FormatError: A tensor is missing, unknown or of another shape; the message names the
                first.
        """
        if not self.folds:
            return
        shapes = {name.removeprefix(ENCODER_PREFIX): tuple(base[name].shape) for name in base}
        shapes = {name: shape for name, shape in shapes.items() if not is_statistic(name)}
        expected = {
            f"{ENCODER_PREFIX}{name}": shape
            for name, shape in self.trainable(shapes, architecture, settings).items()
        }
        for name in [*expected, *delta]:
            found = tuple(delta[name].shape) if name in delta else "nothing"
            if found != expected.get(name):
                want = f"shape {expected[name]}" if name in expected else "no such tensor"
                raise FormatError(f"adapter tensor {shown(name)}: expected {want}, found {found}")
