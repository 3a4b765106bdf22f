"""The layers of a block that methods call ``q``, ``k``, ``v``, ``proj``, ``mlp`` and so on.

Segment-anything's ViT and TinyViT name the same six layers of a block differently, and order the
rows of the fused ``qkv`` differently. The table of families has the names and the order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.table import family_of

from .blocks import Blocks, chosen_names

if TYPE_CHECKING:
    from torch import Tensor


Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of an encoder's parameters by their names in the encoder."""

FUSED = ("q", "k", "v")
"""The matrices in ``qkv``, in this order."""


def block_layers(config: EncoderConfig) -> Mapping[str, str]:
    """Return the names in the block of its six layers, by ``norm1``, ``qkv`` and so on."""
    return family_of(config).layers


def linear_layers(
    config: EncoderConfig, matrices: Sequence[str], blocks: Blocks
) -> Iterator[tuple[str, list[str]]]:
    """Find the linear layers that hold the given matrices.

    Args:
        config: The image encoder.
        matrices: A choice of ``q``, ``k``, ``v``, ``proj``, ``mlp``.
        blocks: See ``blocks.py``.

    Yields:
        The layer's name in the encoder, and the names of its wanted matrices: some of q, k and v
        for the fused ``qkv``, else the layer's own name.
    """
    layers = block_layers(config)
    fused = [matrix for matrix in FUSED if matrix in matrices]
    wanted = [("qkv", fused)] if fused else []
    for matrix, keys in (("proj", ("proj",)), ("mlp", ("lin1", "lin2"))):
        if matrix in matrices:
            wanted += [(key, [layers[key].rpartition(".")[2]]) for key in keys]
    for block in chosen_names(config, blocks):
        for key, names in wanted:
            yield f"{block}.{layers[key]}", names


def matrix_rows(config: EncoderConfig, layer: str, matrix: str, rows: int) -> NDArray[np.intp]:
    """Return the rows of a layer's weight that belong to one matrix.

    Args:
        config: The image encoder.
        layer: The layer's name, for example ``blocks.3.attn.qkv``.
        matrix: ``q``, ``k``, ``v``, or the name of an unfused layer.
        rows: Number of rows of the weight.

    Returns:
        Row indices. In segment-anything's ViT ``qkv`` holds all q, then all k, then all v; in
        TinyViT it holds q, k, v of head 0, then of head 1, and so on.
    """
    index: NDArray[np.intp] = np.arange(rows)
    if matrix not in FUSED:
        return index
    blocks = index.reshape(family_of(config).qkv_groups(config, layer), 3, -1)
    index = blocks[:, FUSED.index(matrix)].reshape(-1)
    return index


def spread(factor: Tensor, rows: Tensor, outputs: int) -> Tensor:
    """Put the rows of a factor at the places of their matrix in a layer's output.

    Args:
        factor: ``(len(rows), rank)``.
        rows: Row indices.
        outputs: Number of rows of the layer.

    Returns:
        ``(outputs, rank)``, zero elsewhere. Adding its product to the layer's output needs no
        writing in place, which 4-bit layers forbid.
    """
    zeros = factor.new_zeros(outputs, factor.shape[1])
    return zeros.index_copy(0, rows.to(factor.device), factor)
