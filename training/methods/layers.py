"""Which linear layers of an encoder a method means by ``q``, ``k``, ``v``, ``proj`` and ``mlp``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

MLP_LAYERS = ("lin1", "lin2", "fc1", "fc2")
"""Segment-anything's ViT has the first two names, TinyViT the others."""


def encoder_linears(
    encoder: nn.Module, matrices: Sequence[str]
) -> Iterator[tuple[str, nn.Linear, list[str]]]:
    """Find the linear layers that hold the given matrices.

    Args:
        encoder: A ViT or TinyViT.
        matrices: Out of ``q``, ``k``, ``v``, ``proj``, ``mlp``.

    Yields:
        The layer's name, the layer, and the names of the matrices wanted in it: some of q, k and
        v for a fused ``qkv``, else the layer's own name.
    """
    from torch import nn

    fused = [matrix for matrix in ("q", "k", "v") if matrix in matrices]
    for name, layer in list(encoder.named_modules()):
        if not isinstance(layer, nn.Linear):
            continue
        last = name.rpartition(".")[2]
        if last == "qkv" and fused:
            yield name, layer, fused
        elif (last == "proj" and "proj" in matrices) or (last in MLP_LAYERS and "mlp" in matrices):
            yield name, layer, [last]
