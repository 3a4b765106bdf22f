"""LoRA: a low-rank matrix added to linear layers of the image encoder.

``W <- W + scale * B A`` with ``A (rank, in)`` and ``B (out, rank)``, one pair for each of the
chosen matrices. The fused ``qkv`` layer holds three of them. With ``mask_decoder_rank`` the mask
decoder's linear layers get factors too; see ``mask_decoder_lora.py``.

Source: Hu et al., LoRA (2022); Teuber et al., PEFT-SAM (MIDL 2025), section 2, and its released
code: A starts Kaiming-uniform, B at zero, and ``scale`` is 1 (no alpha / rank).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.fields import check_types
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

from .blocks import LATE, Blocks, check_blocks
from .checks import SECTION, check_size
from .layers import FUSED, Shapes, linear_layers, matrix_rows, spread

if TYPE_CHECKING:
    from torch import Tensor, nn

Matrix = Literal["q", "k", "v", "proj", "mlp"]
MATRICES: tuple[Matrix, ...] = get_args(Matrix)


@dataclass(frozen=True, kw_only=True)
class LoraSettings:
    """The settings of a method that adds LoRA factors.

    Attributes:
        rank: Rank of the factors. Default: PEFT-SAM, appendix (LoRA-C).
        matrices: The matrices that get factors. Default: as ``rank``.
        scale: Factor on the product; other libraries call it alpha / rank.
        mask_decoder_rank: Rank of factors in the mask decoder's linear layers; 0 for none.
        blocks: See ``blocks.py``.
    """

    rank: int = 32
    matrices: tuple[Matrix, ...] = ("q", "v")
    scale: float = 1.0
    mask_decoder_rank: int = 0
    blocks: Blocks = None

    def __post_init__(self) -> None:
        check_types(self, where=SECTION)
        check_size("rank", self.rank)
        if not self.matrices:
            raise FormatError(
                f"{SECTION}.matrices: allowed is a list of {', '.join(MATRICES)}, found []"
            )
        check_size("mask_decoder_rank", self.mask_decoder_rank, least=0)
        check_blocks(self.blocks)


DEFAULTS = LoraSettings()
LATE_DEFAULTS = LoraSettings(matrices=("q", "k", "v", "mlp"), blocks=LATE)
"""The paper's late LoRA adapts more matrices: PEFT-SAM, appendix A and Table 5."""


def trainable(
    shapes: Shapes, architecture: Architecture, settings: LoraSettings
) -> dict[str, tuple[int, ...]]:
    """List the factors by name with their shapes."""
    factors: dict[str, tuple[int, ...]] = {}
    rank, config = settings.rank, architecture.image_encoder
    for name, matrices in linear_layers(config, settings.matrices, settings.blocks):
        outputs, inputs = shapes[f"{name}.weight"]
        for matrix in matrices:
            rows = len(matrix_rows(config, name, matrix, outputs))
            factors[f"{name}.lora_a.{matrix}"] = (rank, inputs)
            factors[f"{name}.lora_b.{matrix}"] = (rows, rank)
    return factors


def attach(encoder: nn.Module, architecture: Architecture, settings: LoraSettings) -> None:
    """Freeze the encoder and give its linear layers trainable A and B.

    Each layer keeps its own weights under their names. It holds the factors beside them as
    ``lora_a.<matrix>`` and ``lora_b.<matrix>``, and a forward hook adds their product.
    """
    encoder.requires_grad_(False)
    config = architecture.image_encoder
    for name, matrices in linear_layers(config, settings.matrices, settings.blocks):
        linear: Any = encoder.get_submodule(name)
        rows = {m: matrix_rows(config, name, m, linear.out_features) for m in matrices}
        add_factors(linear, rows, rank=settings.rank, scale=settings.scale)


def add_factors(
    linear: Any, rows: Mapping[str, NDArray[np.intp]], *, rank: int, scale: float
) -> None:
    """Give one linear layer factors, and a hook that adds their product to its output.

    Args:
        linear: An ``nn.Linear``, or a subclass whose weights may be packed.
        rows: Rows of the layer by matrix.
        rank: Rank of the factors.
        scale: Factor on their product.
    """
    import torch
    from torch import nn

    device = linear.weight.device
    a = {m: nn.Parameter(torch.empty(rank, linear.in_features, device=device)) for m in rows}
    b = {m: nn.Parameter(torch.zeros(len(r), rank, device=device)) for m, r in rows.items()}
    for factor in a.values():
        nn.init.kaiming_uniform_(factor, a=5**0.5)
    linear.lora_a, linear.lora_b = nn.ParameterDict(a), nn.ParameterDict(b)
    linear.lora_scale = scale
    index = {m: torch.from_numpy(r) for m, r in rows.items()}
    linear.register_forward_hook(partial(_add_delta, rows=index))


def effective_weight(linear: Any) -> Tensor:
    """Return the weight of a linear layer, plus the product of its factors if it has any.

    Modules that compute with a layer's weight instead of calling the layer need it.

    Args:
        linear: An ``nn.Linear``; its factors, if any, are those of one matrix with all its rows.
    """
    weight: Tensor = linear.weight
    if not hasattr(linear, "lora_a"):
        return weight
    (a,), (b,) = linear.lora_a.values(), linear.lora_b.values()
    with_factors: Tensor = weight + linear.lora_scale * (b @ a)
    return with_factors


def _add_delta(
    layer: Any,
    inputs: tuple[Tensor, ...],
    output: Tensor,
    *,
    rows: dict[str, Tensor],
) -> Tensor:
    """Add the low-rank part to a layer's output, never in place (4-bit layers forbid it)."""
    import torch
    import torch.nn.functional as F

    # By name, because a ParameterDict sorts its keys: its values come in the order k, q, v.
    # One pair of products for all factors: B is spread over the layer's rows, block by block.
    outputs = output.shape[-1]
    b = [spread(layer.lora_b[m], index, outputs) for m, index in rows.items()]
    hidden = F.linear(inputs[0], torch.cat([layer.lora_a[m] for m in rows]))
    scaled: Tensor = layer.lora_scale * F.linear(hidden, torch.cat(b, dim=1))
    return output + scaled


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    settings: LoraSettings,
) -> Tensors:
    """Add every low-rank product to the weight it belongs to.

    Args:
        base: Encoder weights by full SAM names, float32.
        delta: ``<layer>.lora_a.<matrix> (rank, in)`` and ``<layer>.lora_b.<matrix> (rows, rank)``.
        architecture: Says where the rows of a matrix lie.
        settings: The method's settings; ``scale`` is used.

    Returns:
        The changed weights, float32, by name. The sums run in float64.

    Raises:
        FormatError: A tensor is not a factor, a factor lacks its partner or its layer, or a shape
            does not fit.
    """
    merged: Tensors = {}
    for name in sorted(delta):
        layer, _, rest = name.partition(".lora_")
        kind, _, matrix = rest.partition(".")
        if kind not in ("a", "b") or (layer.endswith(".qkv") != (matrix in FUSED)):
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
        short = layer.removeprefix(ENCODER_PREFIX)
        rows = matrix_rows(architecture.image_encoder, short, matrix, len(weight))
        fit = weight.ndim == a.ndim == b.ndim == 2 and a.shape[1] == weight.shape[1]
        if not fit or b.shape != (len(rows), len(a)):
            raise FormatError(
                f"adapter tensor {shown(name)}: A {a.shape} and B {b.shape} do not fit the "
                f"weight {weight.shape}"
            )
        weight[rows] += settings.scale * (b @ a)
        merged[weight_name] = weight.astype(np.float32)
    return merged
