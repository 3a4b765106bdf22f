"""Methods that add nothing and choose which of the encoder's own weights train.

``full`` trains all of them, ``freeze_encoder`` none. Source: Teuber et al., PEFT-SAM (MIDL 2025).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import Architecture
from samzoo.runtime.errors import FormatError, shown

if TYPE_CHECKING:
    from torch import nn


def attach_full(
    encoder: nn.Module, architecture: Architecture, hyperparameters: Mapping[str, Any]
) -> None:
    """Train every weight of the encoder."""
    encoder.requires_grad_(True)


def attach_frozen(
    encoder: nn.Module, architecture: Architecture, hyperparameters: Mapping[str, Any]
) -> None:
    """Train no weight of the encoder."""
    encoder.requires_grad_(False)


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Nothing to check: there are no hyperparameters."""


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    hyperparameters: Mapping[str, Any],
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
