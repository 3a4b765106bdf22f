"""The table of finetuning methods.

One row a method: its formula, its hyperparameters, what it does to the encoder (``attach``, needs
torch), which parameters it trains (``trainable``), and how it folds into plain weights (``fold``,
numpy only; ``samzoo.zoo.merging.folding`` calls it). Importing this package needs no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, InputError, shown
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import Architecture
from samzoo.runtime.formats.shapes import is_statistic

from . import adaptformer, fact, lora, qlora, selective, ssf
from .blocks import chosen_blocks
from .layers import PREFIX

if TYPE_CHECKING:
    from torch import nn

__all__ = ["METHODS", "Method", "get_method"]

Attach = Callable[["nn.Module", Architecture, Mapping[str, Any]], None]
Fold = Callable[
    [Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]], Architecture, Mapping[str, Any]],
    Tensors,
]
Extended = Callable[[Architecture, Mapping[str, Any]], Architecture]
TrainedBase = Callable[[str, NDArray[Any], Mapping[str, Any]], NDArray[Any]]


@dataclass(frozen=True)
class Method:
    """One finetuning method of the image encoder.

    The prompt encoder, the mask decoder and the AIS decoder are trained with every method.

    Attributes:
        formula: What it changes, in one line.
        placement: Which layers of a block it changes, in one line.
        attach: Makes the encoder trainable in the method's way.
        trainable: Lists what trains in the encoder: names and shapes, from the encoder's own.
        fold: Returns the encoder weights that the adapter changes, merged.
        check: Raises FormatError for hyperparameters that cannot be.
        defaults: Hyperparameters and their defaults.
        frozen: Nothing in the encoder trains, so embeddings can be computed once.
        foldable: Merging gives plain weights of the base's architecture. Where it is false,
            ``fold`` returns named extra weights and ``extended`` the architecture with them.
        extended: The architecture of the finetuned network; by default the base's.
        trained_base: Gives an encoder weight as the network computed with it while training, from
            its name and the base's own; None where that is the base's own.
    """

    formula: str
    placement: str
    attach: Attach
    trainable: selective.Trainable
    fold: Fold
    check: Callable[[Mapping[str, Any]], None]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    frozen: bool = False
    foldable: bool = True
    extended: Extended = lambda architecture, hyperparameters: architecture
    trained_base: TrainedBase | None = None

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

    def resolved(
        self, hyperparameters: Mapping[str, Any], architecture: Architecture
    ) -> dict[str, Any]:
        """Replace ``blocks: late`` by the indices that it means for an architecture.

        Args:
            hyperparameters: Complete and checked.
            architecture: Of the base.

        Raises:
            FormatError: The encoder lacks one of the blocks.
        """
        values = dict(hyperparameters)
        blocks = values.get("blocks")
        if blocks is not None:
            values["blocks"] = chosen_blocks(architecture.image_encoder, blocks)
        return values

    def check_delta(
        self,
        base: Mapping[str, Any],
        delta: Mapping[str, Any],
        architecture: Architecture,
        hyperparameters: Mapping[str, Any],
    ) -> None:
        """Check that an adapter holds exactly what the method trains in the encoder.

        A method that does not fold checks this in ``fold``: it stores fixed numbers as well.

        Args:
            base: Encoder weights by full SAM names; only their shapes are looked at.
            delta: The adapter's tensors of the encoder, by full names.
            architecture: Of the base.
            hyperparameters: Complete and checked.

        Raises:
            FormatError: A tensor is missing, unknown or of another shape; names the first.
        """
        if not self.foldable:
            return
        shapes = {name.removeprefix(PREFIX): tuple(base[name].shape) for name in base}
        shapes = {name: shape for name, shape in shapes.items() if not is_statistic(name)}
        expected = {
            f"{PREFIX}{name}": shape
            for name, shape in self.trainable(shapes, architecture, hyperparameters).items()
        }
        for name in [*expected, *delta]:
            found = tuple(delta[name].shape) if name in delta else "nothing"
            if found != expected.get(name):
                want = f"shape {expected[name]}" if name in expected else "no such tensor"
                raise FormatError(f"adapter tensor {shown(name)}: expected {want}, found {found}")


def _selective(*, trainable: selective.Trainable, **fields: Any) -> Method:
    """Make the row of a method that adds nothing and trains weights of the encoder's own."""
    return Method(
        attach=partial(selective.attach, trainable=trainable),
        trainable=trainable,
        fold=selective.fold,
        check=selective.check,
        **fields,
    )


METHODS: dict[str, Method] = {
    "freeze_encoder": _selective(
        formula="W stays",
        placement="nothing in the encoder",
        trainable=selective.trainable_none,
        frozen=True,
    ),
    "lora": Method(
        formula="W + scale * B A",
        placement="q and v of attn.qkv; by choice k, attn.proj and the MLP",
        attach=lora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        check=lora.check,
        defaults=lora.DEFAULTS,
    ),
    "late_lora": Method(
        formula="W + scale * B A",
        placement="q, k, v of attn.qkv and the MLP, in the last blocks",
        attach=lora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        check=lora.check,
        defaults=lora.LATE_DEFAULTS,
    ),
    "qlora": Method(
        formula="D(Q(W)) + scale * B A",
        placement="as lora; W is rounded to 4 bits in every linear layer",
        attach=qlora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        check=qlora.check,
        defaults=qlora.DEFAULTS,
        trained_base=qlora.trained_base,
    ),
    "late_qlora": Method(
        formula="D(Q(W)) + scale * B A",
        placement="as late_lora; W is rounded to 4 bits in every linear layer",
        attach=qlora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        check=qlora.check,
        defaults=qlora.LATE_DEFAULTS,
        trained_base=qlora.trained_base,
    ),
    "adaptformer": Method(
        formula="mlp(x) + x + alpha * up(ReLU(down(x)))",
        placement="beside the MLP",
        attach=adaptformer.attach,
        trainable=adaptformer.trainable,
        fold=adaptformer.keep,
        check=adaptformer.check,
        defaults=adaptformer.DEFAULTS,
        foldable=False,
        extended=adaptformer.extended,
    ),
    "ssf": Method(
        formula="scale * y + shift",
        placement="after both LayerNorms, attn.qkv, attn.proj and both layers of the MLP",
        attach=ssf.attach,
        trainable=ssf.trainable,
        fold=ssf.fold,
        check=ssf.check,
        defaults=ssf.DEFAULTS,
    ),
    "fact": Method(
        formula="W + V S U",
        placement="q and v of attn.qkv",
        attach=fact.attach,
        trainable=fact.trainable,
        fold=fact.fold,
        check=fact.check,
        defaults=fact.DEFAULTS,
    ),
    "attention": _selective(
        formula="W trains",
        placement="attn.qkv, attn.proj and the position terms of the attention",
        trainable=selective.trainable_attention,
        defaults=selective.ALL,
    ),
    "bias": _selective(
        formula="b trains",
        placement="the biases of all linear layers and LayerNorms",
        trainable=selective.trainable_bias,
        defaults=selective.ALL,
    ),
    "layernorm": _selective(
        formula="W and b train",
        placement="both LayerNorms",
        trainable=selective.trainable_layernorm,
        defaults=selective.ALL,
    ),
    "late_full": _selective(
        formula="W trains",
        placement="all of the last blocks",
        trainable=selective.trainable_blocks,
        defaults=selective.LAST,
    ),
    "full": _selective(
        formula="W trains",
        placement="the whole encoder, or whole blocks by choice",
        trainable=selective.trainable_full,
        defaults=selective.ALL,
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
