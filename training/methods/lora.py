"""LoRA: a low-rank matrix added to linear layers of the image encoder.

``W <- W + scale * B A`` with ``A (rank, in)`` and ``B (out, rank)``, one pair for each of the
chosen matrices. The fused ``qkv`` layer holds three of them.

Source: Hu et al., LoRA (2022); Teuber et al., PEFT-SAM (MIDL 2025), section 2, and its released
code: A starts Kaiming-uniform, B at zero, and ``scale`` is 1 (no alpha / rank).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.arrays import Tensors
from samzoo.runtime.config import Architecture, EncoderConfig, TinyVitConfig
from samzoo.runtime.errors import FormatError, shown

from .layers import encoder_linears

if TYPE_CHECKING:
    from torch import Tensor, nn

MATRICES = ("q", "k", "v", "proj", "mlp")
DEFAULTS: dict[str, Any] = {"rank": 32, "matrices": ["q", "v"], "scale": 1.0}
"""Rank and matrices: PEFT-SAM, appendix (LoRA-C)."""


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Check the hyperparameters.

    Raises:
        FormatError: Names the field and what is allowed.
    """
    rank = hyperparameters["rank"]
    if isinstance(rank, bool) or not isinstance(rank, int) or not 1 <= rank <= 1024:
        raise FormatError(f"lora.rank: allowed is 1 to 1024, found {shown(rank)}")
    matrices = hyperparameters["matrices"]
    if not isinstance(matrices, list) or not matrices or any(m not in MATRICES for m in matrices):
        raise FormatError(
            f"lora.matrices: allowed is a list out of {', '.join(MATRICES)}, "
            f"found {shown(matrices)}"
        )
    scale = hyperparameters["scale"]
    if isinstance(scale, bool) or not isinstance(scale, (int, float)) or not isfinite(scale):
        raise FormatError(f"lora.scale: expected a finite number, found {shown(scale)}")


def matrix_rows(config: EncoderConfig, layer: str, matrix: str, rows: int) -> NDArray[np.intp]:
    """Rows of a layer's weight that belong to one matrix.

    Args:
        config: The image encoder.
        layer: The layer's name, for example ``blocks.3.attn.qkv``.
        matrix: ``q``, ``k``, ``v``, or the name of an unfused layer.
        rows: Rows of the weight.

    Returns:
        Row indices. In segment-anything's ViT ``qkv`` holds all q, then all k, then all v; in
        TinyViT it holds q, k, v of head 0, then of head 1, and so on.
    """
    index: NDArray[np.intp] = np.arange(rows)
    if matrix not in ("q", "k", "v"):
        return index
    if isinstance(config, TinyVitConfig):
        heads = config.num_heads[int(layer.split(".")[1])]
        blocks = index.reshape(heads, 3, -1)
    else:
        blocks = index.reshape(1, 3, -1)
    index = blocks[:, "qkv".index(matrix)].reshape(-1)
    return index


def attach(
    encoder: nn.Module, architecture: Architecture, hyperparameters: Mapping[str, Any]
) -> None:
    """Freeze the encoder and give its linear layers trainable A and B.

    Each layer keeps its own weights under their names; the factors stand beside them as
    ``lora_a.<matrix>`` and ``lora_b.<matrix>``, and a forward hook adds their product.
    """
    import torch
    from torch import nn

    encoder.requires_grad_(False)
    rank, scale = int(hyperparameters["rank"]), float(hyperparameters["scale"])
    config = architecture.image_encoder
    for name, linear, matrices in encoder_linears(encoder, hyperparameters["matrices"]):
        outputs, inputs = linear.weight.shape
        rows = [matrix_rows(config, name, matrix, outputs) for matrix in matrices]
        a = {m: nn.Parameter(linear.weight.new_empty(rank, inputs)) for m in matrices}
        b = {
            m: nn.Parameter(linear.weight.new_zeros(len(r), rank))
            for m, r in zip(matrices, rows, strict=True)
        }
        for factor in a.values():
            nn.init.kaiming_uniform_(factor, a=5**0.5)
        linear.lora_a, linear.lora_b = nn.ParameterDict(a), nn.ParameterDict(b)
        index = {m: torch.from_numpy(r) for m, r in zip(matrices, rows, strict=True)}
        linear.register_forward_hook(partial(_add_delta, rows=index, scale=scale))


def _add_delta(
    layer: Any,
    inputs: tuple[Tensor, ...],
    output: Tensor,
    *,
    rows: dict[str, Tensor],
    scale: float,
) -> Tensor:
    """Add the low-rank part to a layer's output, never in place (4-bit layers forbid it)."""
    import torch
    import torch.nn.functional as F

    # By name: a ParameterDict sorts its keys, so its values come in another order (k, q, v).
    a, b = [layer.lora_a[m] for m in rows], [layer.lora_b[m] for m in rows]
    # All factors in one pair of products: B is spread over the layer's rows, block by block.
    outputs = output.shape[-1]
    spread = [
        factor.new_zeros(outputs, factor.shape[1]).index_copy(0, index.to(factor.device), factor)
        for factor, index in zip(b, rows.values(), strict=True)
    ]
    hidden = F.linear(inputs[0], torch.cat(a))
    return output + scale * F.linear(hidden, torch.cat(spread, dim=1))


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    hyperparameters: Mapping[str, Any],
) -> Tensors:
    """Add every low-rank product to the weight it belongs to.

    Args:
        base: Encoder weights by full SAM names, float32.
        delta: ``<layer>.lora_a.<matrix> (rank, in)`` and ``<layer>.lora_b.<matrix> (rows, rank)``.
        architecture: Says where the rows of a matrix lie.
        hyperparameters: ``scale``.

    Returns:
        The changed weights, float32, by name. The sums run in float64.

    Raises:
        FormatError: A tensor is no factor, a factor lacks its partner or its layer, or a shape
            does not fit.
    """
    scale = float(hyperparameters["scale"])
    merged: Tensors = {}
    for name in sorted(delta):
        layer, _, rest = name.partition(".lora_")
        kind, _, matrix = rest.partition(".")
        if kind not in ("a", "b") or (layer.endswith(".qkv") != (matrix in ("q", "k", "v"))):
            raise FormatError(f"adapter tensor {shown(name)} is no LoRA factor of a linear layer")
        partner = f"{layer}.lora_{'b' if kind == 'a' else 'a'}.{matrix}"
        weight_name = f"{layer}.weight"
        if partner not in delta or weight_name not in base:
            missing = partner if partner not in delta else weight_name
            raise FormatError(f"adapter tensor {shown(name)} needs {shown(missing)}, not there")
        if kind == "b":
            continue
        weight = merged.get(weight_name, base[weight_name]).astype(np.float64)
        a, b = delta[name].astype(np.float64), delta[partner].astype(np.float64)
        short = layer.removeprefix("image_encoder.")
        rows = matrix_rows(architecture.image_encoder, short, matrix, len(weight))
        fit = weight.ndim == a.ndim == b.ndim == 2 and a.shape[1] == weight.shape[1]
        if not fit or b.shape != (len(rows), len(a)):
            raise FormatError(
                f"adapter tensor {shown(name)}: A {a.shape} and B {b.shape} do not fit the "
                f"weight {weight.shape}"
            )
        weight[rows] += scale * (b @ a)
        merged[weight_name] = weight.astype(np.float32)
    return merged
