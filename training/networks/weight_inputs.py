"""An encoder graph whose linear layers take LoRA factors as inputs.

In: an encoder graph in torch and the names of its linear layers. Out: a module with two more
inputs for each layer, which the exporter traces. One such graph serves every LoRA adapter over its
base. ``docs/decisions/0011-adapters-over-one-encoder.md`` says why the product is added to the
weight, not to the layer's output.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize


class EncoderWithFactors(nn.Module):
    """An encoder graph with two more inputs, the LoRA factors, for each of some linear layers.

    Args:
        graph: Maps an image to image embeddings with ``encoder``.
        encoder: The image encoder. Its layers are changed permanently; use it for nothing else.
        layers: Names of linear layers in ``encoder``.
    """

    def __init__(self, graph: nn.Module, encoder: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.graph = graph
        self._weights = []
        for layer in layers:
            linear: Any = encoder.get_submodule(layer)
            # All who read the layer's weight get the sum: the layer itself, and other modules that
            # compute with its weight.
            parametrize.register_parametrization(linear, "weight", _Replaced())
            self._weights.append(linear.parametrizations.weight)

    def forward(self, input_image: Tensor, *factors: Tensor) -> Tensor:
        """Compute image embeddings with factors.

        Args:
            input_image: The input of ``graph``.
            factors: ``lora_a (in, rank)`` and ``lora_b (rank, out)`` of each layer, in order.

        Returns:
            The output of ``graph``.
        """
        for i, weight in enumerate(self._weights):
            a, b = factors[2 * i], factors[2 * i + 1]
            # Transposed twice: the layer transposes a third time, so that the exported graph adds
            # the product to a stored W^T and transposes nothing while running. This happens once
            # in a run, even if the layer runs on several parts of its input.
            weight[0].value = (weight.original.t() + a @ b).t()
        result: Tensor = self.graph(input_image)
        return result


class _Replaced(nn.Module):
    """A stand-in for a weight: ``value``, or the weight itself while there is none."""

    value: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        return weight if self.value is None else self.value
