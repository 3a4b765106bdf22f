"""A stand-in for the image encoder, while a graph around it is traced.

Several tools get a graph with the same encoder: with another preparation of the image before it, or
with a decoder behind it. Traced with the stand-in, such a graph is small and takes no time; the
encoder is traced once, and ``samzoo.zoo.graphs.encoder_insertion`` puts it in.

In: a module that ends in, begins with or holds an encoder. Out: the same module, whose encoder is
one node of the graph, and the encoder alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from samzoo.runtime.formats.architecture import EMBEDDING_CHANNELS
from samzoo.training.encoders.table import encoder_network

from .sam import Sam

OPERATOR = "samzoo::ImageEncoder"
"""The node's operator: its domain and its name. No written file has it."""


class EncoderBody(nn.Module):
    """The image encoder alone, as a CPU computes it.

    Maps ``(1, 3, side, side)``, prepared, to embeddings ``(1, 256, grid, grid)``.
    """

    def __init__(self, sam: Sam) -> None:
        super().__init__()
        self.image_encoder = sam.image_encoder
        self.encoding = encoder_network(sam.config.architecture.image_encoder).encode

    def forward(self, x: Tensor) -> Tensor:
        """Encode an image."""
        return self.encoding(self.image_encoder, x)


class _StandIn(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: int) -> Tensor:
        return x.new_zeros(1, EMBEDDING_CHANNELS, grid, grid)

    @staticmethod
    def symbolic(g: Any, x: Any, grid: int) -> Any:
        found = g.op(OPERATOR, x)
        found.setType(x.type().with_sizes([1, EMBEDDING_CHANNELS, grid, grid]))
        return found


@contextmanager
def encoder_left_out(module: nn.Module, grid: int) -> Iterator[None]:
    """Let a node of the graph stand for the encoder while a module is traced.

    Args:
        module: A module whose ``encoding``, or that of a part, computes the encoder.
        grid: Side of the embeddings.
    """

    def stand_in(_: nn.Module, x: Tensor) -> Tensor:
        result: Tensor = _StandIn.apply(x, grid)
        return result

    parts: list[Any] = [part for part in module.modules() if hasattr(part, "encoding")]
    encodings = [part.encoding for part in parts]
    for part in parts:
        part.encoding = stand_in
    try:
        yield
    finally:
        for part, encoding in zip(parts, encodings, strict=True):
            part.encoding = encoding
