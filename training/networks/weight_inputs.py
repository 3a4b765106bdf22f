"""An encoder graph whose linear layers take LoRA factors as inputs.

In: an encoder graph in torch and the names of its linear layers. Out: a module with two more inputs
a layer, which the exporter traces. One such graph serves every LoRA adapter over its base. Why the
product is added to the weight and not to the layer's output is in
``docs/decisions/0011-adapters-over-one-encoder.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize


class EncoderWithFactors(nn.Module):
    """An encoder graph with a pair of factors for each of some linear layers.

    Args:
        graph: From image to image embeddings; computes with ``encoder``.
        encoder: The image encoder. Its layers are changed for good: use it for nothing else.
        layers: Names of linear layers in ``encoder``.
    """

    def __init__(self, graph: nn.Module, encoder: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.graph = graph
        self._weights = []
        for layer in layers:
            linear: Any = encoder.get_submodule(layer)
            # Whoever reads the layer's weight gets the sum, be it the layer itself or another
            # module that computes with its weight.
            parametrize.register_parametrization(linear, "weight", _Replaced())
            self._weights.append(linear.parametrizations.weight)

    def forward(self, input_image: Tensor, *factors: Tensor) -> Tensor:
        """Compute image embeddings with factors.

        Args:
            input_image: As ``graph`` takes it.
            factors: ``lora_a (in, rank)`` and ``lora_b (rank, out)`` of each layer, in order.

        Returns:
            What ``graph`` returns.
        """
        for i, weight in enumerate(self._weights):
            a, b = factors[2 * i], factors[2 * i + 1]
            # Transposed twice: the layer transposes a third time, so that the exported graph adds
            # the product to a stored W^T and transposes nothing while running. Once a run, also
            # where a layer is called for several parts of its input.
            weight[0].value = (weight.original.t() + a @ b).t()
        result: Tensor = self.graph(input_image)
        return result


class _Replaced(nn.Module):
    """Stands in for a weight; the weight itself until there is a ``value``."""

    value: Tensor | None = None

    def forward(self, weight: Tensor) -> Tensor:
        return weight if self.value is None else self.value
