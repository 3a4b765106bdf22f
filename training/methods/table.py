"""The table of finetuning methods.

Each row holds a method's formula, its settings, what it does to the encoder (``attach``, which
needs torch), the parameters that it trains (``trainable``), how it folds into plain weights
(``fold``, which needs numpy only), and what it can do. A new method is a new module and a new row
here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from samzoo.runtime.errors import InputError, did_you_mean, shown

from . import adaptformer, fact, lora, qlora, selective, ssf
from .blocks import LATE
from .method import Method, Quantized

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


def _selective(defaults: S, *, trainable: selective.Trainable[S], **fields: Any) -> Method[S]:
    """Make the row of a method that adds nothing and trains the encoder's own weights."""
    return Method(
        defaults=defaults,
        attach=partial(selective.attach, trainable=trainable),
        trainable=trainable,
        fold=selective.fold,
        selective=True,
        **fields,
    )


METHODS: dict[str, Method[Any]] = {
    "freeze_encoder": _selective(
        selective.FrozenSettings(),
        formula="W stays",
        placement="nothing in the encoder",
        trainable=selective.trainable_none,
        frozen=True,
    ),
    "lora": Method[lora.LoraSettings](
        formula="W + scale * B A",
        placement="q and v of attn.qkv; by choice k, attn.proj and the MLP",
        defaults=lora.DEFAULTS,
        attach=lora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        factored=True,
    ),
    "late_lora": Method[lora.LoraSettings](
        formula="W + scale * B A",
        placement="q, k, v of attn.qkv and the MLP, in the last blocks",
        defaults=lora.LATE_DEFAULTS,
        attach=lora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        factored=True,
        late_of="lora",
    ),
    "qlora": Method[qlora.QloraSettings](
        formula="D(Q(W)) + scale * B A",
        placement="as lora; W is rounded to 4 bits in every linear layer",
        defaults=qlora.DEFAULTS,
        attach=qlora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        factored=True,
        quantized=Quantized("lora", qlora.quantization, qlora.trained_base),
    ),
    "late_qlora": Method[qlora.QloraSettings](
        formula="D(Q(W)) + scale * B A",
        placement="as late_lora; W is rounded to 4 bits in every linear layer",
        defaults=qlora.LATE_DEFAULTS,
        attach=qlora.attach,
        trainable=lora.trainable,
        fold=lora.fold,
        factored=True,
        late_of="qlora",
        quantized=Quantized("late_lora", qlora.quantization, qlora.trained_base),
    ),
    "adaptformer": Method[adaptformer.AdaptFormerSettings](
        formula="mlp(x) + x + alpha * up(ReLU(down(x)))",
        placement="beside the MLP",
        defaults=adaptformer.AdaptFormerSettings(),
        attach=adaptformer.attach,
        trainable=adaptformer.trainable,
        fold=adaptformer.keep,
        folds=False,
        kept=(adaptformer.ALPHA,),
        extended=adaptformer.extended,
    ),
    "ssf": Method[ssf.SsfSettings](
        formula="scale * y + shift",
        placement="after both LayerNorms, attn.qkv, attn.proj and both layers of the MLP",
        defaults=ssf.SsfSettings(),
        attach=ssf.attach,
        trainable=ssf.trainable,
        fold=ssf.fold,
    ),
    "fact": Method[fact.FactSettings](
        formula="W + V S U",
        placement="q and v of attn.qkv",
        defaults=fact.FactSettings(),
        attach=fact.attach,
        trainable=fact.trainable,
        fold=fact.fold,
        shares=fact.shares,
    ),
    "attention": _selective(
        selective.SelectiveSettings(),
        formula="W trains",
        placement="attn.qkv, attn.proj and the position terms of the attention",
        trainable=selective.trainable_attention,
    ),
    "bias": _selective(
        selective.SelectiveSettings(),
        formula="b trains",
        placement="the biases of all linear layers and LayerNorms",
        trainable=selective.trainable_bias,
    ),
    "layernorm": _selective(
        selective.SelectiveSettings(),
        formula="W and b train",
        placement="both LayerNorms",
        trainable=selective.trainable_layernorm,
    ),
    "late_full": _selective(
        selective.SelectiveSettings(blocks=LATE),
        formula="W trains",
        placement="all of the last blocks",
        trainable=selective.trainable_blocks,
        late_of="full",
    ),
    "full": _selective(
        selective.SelectiveSettings(),
        formula="W trains",
        placement="the whole encoder, or whole blocks by choice",
        trainable=selective.trainable_full,
    ),
}


def get_method(name: str) -> Method[Any]:
    """Return a method by name.

    Args:
        name: The method's name, a key of ``METHODS``.

    Returns:
        The method's row.

    Raises:
        InputError: The name is unknown; the message lists the known ones.
    """
    if name not in METHODS:
        raise InputError(
            f"unknown method {shown(name)}; known: {', '.join(METHODS)}"
            f"{did_you_mean(name, METHODS)}"
        )
    return METHODS[name]


def factored_methods() -> tuple[str, ...]:
    """Return the names of the methods that train LoRA factors."""
    return tuple(name for name, method in METHODS.items() if method.factored)


def factored_settings(
    name: str, given: Mapping[str, Any], *, where: str = "method"
) -> lora.LoraSettings:
    """Read the settings of a method that trains LoRA factors; see ``Method.settings``.

    Raises:
        InputError: The method is unknown, or trains something else.
        FormatError: A name is unknown, or a value has another type or is out of range.
    """
    method = get_method(name)
    settings = method.settings(given, where=where)
    if not (method.factored and isinstance(settings, lora.LoraSettings)):
        raise InputError(
            f"{where}: method: found {name!r}, which has no LoRA factors; allowed: "
            f"{', '.join(factored_methods())}"
        )
    return settings


def usual_form(name: str) -> str:
    """Return the method whose late form a method is; any other method's own name.

    >>> usual_form("late_qlora"), usual_form("ssf")
    ('qlora', 'ssf')

    Raises:
        InputError: The method is unknown.
    """
    return get_method(name).late_of or name


def late_form(name: str) -> str:
    """Return the name of a method's late form; the method's own name if it has none.

    >>> late_form("lora"), late_form("ssf")
    ('late_lora', 'ssf')
    """
    return next((late for late, method in METHODS.items() if method.late_of == name), name)


def quantized_form(name: str) -> str:
    """Return the name of a method's form over rounded weights; its own name if it has none.

    >>> quantized_form("late_lora")
    'late_qlora'
    """
    for other, method in METHODS.items():
        if method.quantized is not None and method.quantized.of == name:
            return other
    return name
