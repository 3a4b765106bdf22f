"""The table of finetuning methods.

One row a method: its formula, its hyperparameters, what it does to the encoder (``attach``, needs
torch) and how it folds into plain weights (``fold``, numpy only; ``samzoo.zoo.merge`` calls it).
Importing this package needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import Architecture
from samzoo.runtime.errors import FormatError, InputError, shown

from . import lora, selective

if TYPE_CHECKING:
    from torch import nn

__all__ = ["METHODS", "Method", "get_method"]

Attach = Callable[["nn.Module", Architecture, Mapping[str, Any]], None]
Fold = Callable[
    [Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]], Architecture, Mapping[str, Any]],
    Tensors,
]


@dataclass(frozen=True)
class Method:
    """One finetuning method of the image encoder.

    The prompt encoder, the mask decoder and the AIS decoder are trained with every method.

    Attributes:
        formula: What it changes, in one line.
        attach: Makes the encoder trainable in the method's way.
        fold: Returns the encoder weights that the adapter changes, merged.
        check: Raises FormatError for hyperparameters that cannot be.
        defaults: Hyperparameters and their defaults.
        frozen: Nothing in the encoder trains, so embeddings can be computed once.
    """

    formula: str
    attach: Attach
    fold: Fold
    check: Callable[[Mapping[str, Any]], None]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    frozen: bool = False

    def hyperparameters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in the defaults and check.

        Raises:
            FormatError: An unknown name or a value out of range.
        """
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            allowed = ", ".join(self.defaults) or "none"
            raise FormatError(
                f"unknown hyperparameter {shown(unknown[0])}; this method has: {allowed}"
            )
        values = {**self.defaults, **given}
        self.check(values)
        return values


METHODS: dict[str, Method] = {
    "freeze_encoder": Method(
        formula="W stays",
        attach=selective.attach_frozen,
        fold=selective.fold,
        check=selective.check,
        frozen=True,
    ),
    "lora": Method(
        formula="W + scale * B A",
        attach=lora.attach,
        fold=lora.fold,
        check=lora.check,
        defaults=lora.DEFAULTS,
    ),
    "full": Method(
        formula="W trains",
        attach=selective.attach_full,
        fold=selective.fold,
        check=selective.check,
    ),
}


def get_method(name: str) -> Method:
    """Look a method up.

    Raises:
        InputError: Unknown; lists the known ones.
    """
    if name not in METHODS:
        raise InputError(f"unknown method {shown(name)}; known: {', '.join(METHODS)}")
    return METHODS[name]
