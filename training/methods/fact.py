"""FacT: low-rank additions to q and v that share their outer factors.

``W_q <- W_q + V S_q U`` and ``W_v <- W_v + V S_v U`` with ``U (rank, in)``, ``V (out, rank)`` and
``S (rank, rank)``. In training, dropout acts on ``S U x``.

Source: Jie and Deng, FacT (AAAI 2023); micro-sam 1.8.14, ``models/peft_sam.py``, ``FacTSurgery``,
where U and V belong to one block, all factors start as linear layers do (so that training starts
away from the base), and the scale is 1. There are two more options: ``shared`` gives blocks of the
same width one U and one V, as in the papers' text; ``init: identity`` starts V at zero, as in the
FacT paper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import Architecture
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.fields import check_types
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

from .blocks import Blocks, check_blocks
from .checks import SECTION, Init, check_dropout, check_size
from .layers import Shapes, linear_layers, matrix_rows, spread

if TYPE_CHECKING:
    from torch import Tensor, nn

MATRICES = ("q", "v")


@dataclass(frozen=True, kw_only=True)
class FactSettings:
    """Settings of FacT.

    Attributes:
        rank: Rank of the factors. Default: PEFT-SAM's released code.
        dropout: Probability of dropout, in training steps only. Default: as ``rank``.
        shared: Use one U and one V for all blocks of the same width.
        init: ``identity`` starts V at zero.
        blocks: See ``blocks.py``.
    """

    rank: int = 16
    dropout: float = 0.1
    shared: bool = False
    init: Init = "reference"
    blocks: Blocks = None

    def __post_init__(self) -> None:
        check_types(self, where=SECTION)
        check_size("rank", self.rank)
        check_dropout(self.dropout)
        check_blocks(self.blocks)


def shares(settings: FactSettings) -> bool:
    """Tell whether blocks share factors."""
    return settings.shared


def trainable(
    shapes: Shapes, architecture: Architecture, settings: FactSettings
) -> dict[str, tuple[int, ...]]:
    """List the factors by name with their shapes; shared ones have the name of their first block.

    Blocks of the same width share factors: all blocks of a ViT, or those of a TinyViT's stage.
    """
    factors: dict[str, tuple[int, ...]] = {}
    rank, widths = settings.rank, set()
    for name in _layers(architecture, settings):
        outputs, inputs = shapes[f"{name}.weight"]
        if not (settings.shared and inputs in widths):
            factors[f"{name}.fact_u"] = (rank, inputs)
            factors[f"{name}.fact_v"] = (outputs // 3, rank)
        widths.add(inputs)
        factors |= {f"{name}.fact_s.{matrix}": (rank, rank) for matrix in MATRICES}
    return factors


def attach(encoder: nn.Module, architecture: Architecture, settings: FactSettings) -> None:
    """Freeze the encoder and give its ``qkv`` layers trainable U, V, S_q and S_v.

    The layer holds them beside its weights as ``fact_u``, ``fact_v`` and ``fact_s.<matrix>``.
    """
    import torch
    from torch import nn

    encoder.requires_grad_(False)
    rank, config = settings.rank, architecture.image_encoder
    owners: dict[int, Any] = {}
    for name in _layers(architecture, settings):
        layer: Any = encoder.get_submodule(name)
        device, width = layer.weight.device, layer.in_features
        owner = owners.get(width) if settings.shared else None
        if owner is None:
            layer.fact_u = nn.Parameter(torch.empty(rank, width, device=device))
            layer.fact_v = nn.Parameter(torch.empty(layer.out_features // 3, rank, device=device))
            nn.init.kaiming_uniform_(layer.fact_u, a=5**0.5)
            if settings.init == "identity":
                nn.init.zeros_(layer.fact_v)
            else:
                nn.init.kaiming_uniform_(layer.fact_v, a=5**0.5)
        else:
            layer.fact_u, layer.fact_v = owner.fact_u, owner.fact_v
        owners.setdefault(width, layer)
        s = {m: nn.Parameter(torch.empty(rank, rank, device=device)) for m in MATRICES}
        for factor in s.values():
            nn.init.kaiming_uniform_(factor, a=5**0.5)
        layer.fact_s = nn.ParameterDict(s)
        layer.fact_dropout = nn.Dropout(settings.dropout).eval()
        rows = {
            m: torch.from_numpy(matrix_rows(config, name, m, layer.out_features)) for m in MATRICES
        }
        layer.register_forward_hook(partial(_add_delta, rows=rows))


def _add_delta(
    layer: Any, inputs: tuple[Tensor, ...], output: Tensor, *, rows: dict[str, Tensor]
) -> Tensor:
    import torch
    import torch.nn.functional as F

    reduced = F.linear(inputs[0], layer.fact_u)
    hidden = [layer.fact_dropout(F.linear(reduced, layer.fact_s[m])) for m in rows]
    v = [spread(layer.fact_v, index, output.shape[-1]) for index in rows.values()]
    return output + F.linear(torch.cat(hidden, dim=-1), torch.cat(v, dim=1))


def fold(
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    architecture: Architecture,
    settings: FactSettings,
) -> Tensors:
    """Add every product of three factors to the weight it belongs to.

    Args:
        base: Encoder weights by full SAM names, float32.
        delta: ``<qkv>.fact_u (rank, in)``, ``<qkv>.fact_v (out, rank)`` and ``<qkv>.fact_s.<m>
            (rank, rank)`` with m in q and v; shared U and V have the name of their first block.
        architecture: Says where the rows of a matrix lie.
        settings: The method's settings; ``shared`` is used.

    Returns:
        The changed weights, float32, by name. The sums run in float64.

    Raises:
        FormatError: A tensor is not a factor, a factor lacks its partners or its layer, or a shape
            does not fit.
    """
    for name in delta:
        layer, kind = _parts(name)
        needed = [f"{layer}.weight"] if f"{layer}.weight" not in base else []
        if kind not in MATRICES and not any(f"{layer}.fact_s.{m}" in delta for m in MATRICES):
            needed.append(f"{layer}.fact_s.q")
        if needed:
            raise FormatError(f"adapter tensor {shown(name)} needs {shown(needed[0])}, not there")
    merged: dict[str, NDArray[np.float64]] = {}
    for name in sorted(delta):
        layer, kind = _parts(name)
        if kind not in MATRICES:
            continue
        u = _outer(name, "fact_u", base, delta, settings)
        v = _outer(name, "fact_v", base, delta, settings)
        s = delta[name].astype(np.float64)
        weight = merged.get(f"{layer}.weight")
        if weight is None:
            weight = base[f"{layer}.weight"].astype(np.float64)
        config = architecture.image_encoder
        rows = matrix_rows(config, layer.removeprefix(ENCODER_PREFIX), kind, len(weight))
        fit = weight.ndim == s.ndim == 2 and u.shape == (len(s), weight.shape[1])
        if not fit or s.shape[1] != len(s) or v.shape != (len(rows), len(s)):
            raise FormatError(
                f"adapter tensor {shown(name)}: U {u.shape}, S {s.shape} and V {v.shape} do not "
                f"fit the weight {weight.shape}"
            )
        weight[rows] += v @ s @ u
        merged[f"{layer}.weight"] = weight
    return {name: weight.astype(np.float32) for name, weight in merged.items()}


def _parts(name: str) -> tuple[str, str]:
    """Split a factor's name into its layer and ``fact_u``, ``fact_v`` or the matrix of an S."""
    for suffix in (".fact_u", ".fact_v", *(f".fact_s.{matrix}" for matrix in MATRICES)):
        if name.endswith(f".qkv{suffix}"):
            return name.removesuffix(suffix), suffix.rpartition(".")[2]
    raise FormatError(f"adapter tensor {shown(name)} is no FacT factor of a qkv layer")


def _outer(
    name: str,
    kind: str,
    base: Mapping[str, NDArray[Any]],
    delta: Mapping[str, NDArray[Any]],
    settings: FactSettings,
) -> NDArray[np.float64]:
    """Find the U or V of an S: that of its layer, or the shared one of layers of its width."""
    layer, _ = _parts(name)
    found = delta.get(f"{layer}.{kind}")
    if found is None and settings.shared:
        width = base[f"{layer}.weight"].shape[-1]
        owners = [other.removesuffix(f".{kind}") for other in delta if other.endswith(f".{kind}")]
        equal = [owner for owner in owners if base[f"{owner}.weight"].shape[-1] == width]
        found = delta[f"{equal[0]}.{kind}"] if equal else None
    if found is None:
        raise FormatError(
            f"adapter tensor {shown(name)} needs {shown(f'{layer}.{kind}')}, not there"
        )
    return found.astype(np.float64)


def _layers(architecture: Architecture, settings: FactSettings) -> Iterator[str]:
    for name, _ in linear_layers(architecture.image_encoder, MATRICES, settings.blocks):
        yield name
