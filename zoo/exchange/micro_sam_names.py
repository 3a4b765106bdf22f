"""Tables that translate micro-sam's tensor names inside a block into ours.

``DELTA`` names the tensors that a method trains. ``WRAPPED`` names the frozen weights of the layers
that micro-sam wraps, which makes their names longer. Source: micro-sam 1.8.14,
``models/peft_sam.py``.
"""

from __future__ import annotations

import re

_PAIR = ("weight", "bias")
_SSF_LAYERS = ("attn.qkv", "attn.proj", "mlp.lin1", "mlp.lin2", "norm1", "norm2")

_QKV = {f"attn.qkv.qkv_proj.{kind}": f"attn.qkv.{kind}" for kind in _PAIR}

WRAPPED: dict[str, dict[str, str]] = {
    "lora": {
        **_QKV,
        **{f"mlp.mlp_layer.lin{i}.{kind}": f"mlp.lin{i}.{kind}" for i in (1, 2) for kind in _PAIR},
    },
    "fact": dict(_QKV),
    "adaptformer": {
        f"mlp.mlp_proj.lin{i}.{kind}": f"mlp.lin{i}.{kind}" for i in (1, 2) for kind in _PAIR
    },
    "ssf": {f"{name}.layer.{kind}": f"{name}.{kind}" for name in _SSF_LAYERS for kind in _PAIR},
}
"""For each method, micro-sam's names of frozen tensors and the base's names for them."""

DELTA: dict[str, dict[str, str]] = {
    "lora": {
        **{
            f"attn.qkv.w_{f}_linear_{m}.weight": f"attn.qkv.lora_{f}.{m}"
            for f in "ab"
            for m in "qkv"
        },
        **{
            f"mlp.w_{f}_linear_{i}.weight": f"mlp.lin{i}.lora_{f}.lin{i}"
            for f in "ab"
            for i in (1, 2)
        },
    },
    "fact": {
        "attn.qkv.FacTu.weight": "attn.qkv.fact_u",
        "attn.qkv.FacTv.weight": "attn.qkv.fact_v",
        "attn.qkv.q_FacTs.weight": "attn.qkv.fact_s.q",
        "attn.qkv.v_FacTs.weight": "attn.qkv.fact_s.v",
    },
    "adaptformer": {
        **{
            f"mlp.{way}_proj.{kind}": f"mlp.adaptformer_{way}.{kind}"
            for way in ("down", "up")
            for kind in _PAIR
        },
        "mlp.alpha": "mlp.adaptformer_alpha",
    },
    "ssf": {f"{name}.{what}": f"{name}.ssf_{what}" for name in _SSF_LAYERS
            for what in ("scale", "shift")},
}  # fmt: skip
"""For each method, micro-sam's names of trained tensors and our names for them."""

_BLOCK = re.compile(r"(image_encoder\.blocks\.\d+\.)(.+)")
_QUANTIZED = re.compile(r"(.+\.weight)(\.(?:absmax|quant_map|nested_\w+|quant_state\..+))")


def split_name(name: str) -> tuple[str, str]:
    """Split a tensor's name into that of its block, with the last dot, and the rest.

    For a name outside the blocks, the rest is empty. Tensors that bitsandbytes stores beside a
    packed weight get the weight's name.

    >>> split_name("image_encoder.blocks.3.attn.qkv.qkv_proj.weight.absmax")
    ('image_encoder.blocks.3.', 'attn.qkv.qkv_proj.weight')
    """
    match = _BLOCK.fullmatch(split_quantized(name)[0])
    return (match[1], match[2]) if match else (name, "")


def split_quantized(name: str) -> tuple[str, str]:
    """Split off what bitsandbytes appends to a weight's name, such as ``.absmax``.

    >>> split_quantized("mlp.lin1.weight.quant_state.bitsandbytes__fp4")
    ('mlp.lin1.weight', '.quant_state.bitsandbytes__fp4')
    """
    match = _QUANTIZED.fullmatch(name)
    return (match[1], match[2]) if match else (name, "")


def our_name(method: str, name: str) -> str:
    """Translate one of micro-sam's names; names that need no translation stay."""
    block, suffix = split_name(name)
    table = {**DELTA[method], **WRAPPED[method]}
    return f"{block}{table[suffix]}{split_quantized(name)[1]}" if suffix in table else name
