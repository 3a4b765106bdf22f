"""Several devices or processes that learn together: each from its own crops.

In: a Fabric and gradients. Out: the same gradients on all devices, the mean of all. On one device
nothing happens.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor


def mean_over_devices(fabric: Fabric, value: Tensor) -> Tensor:
    """Return the mean of a value over all devices."""
    if fabric.world_size == 1:
        return value
    mean: Any = fabric.all_reduce(fabric.to_device(value), reduce_op="mean")
    result: Tensor = mean
    return result


def share_gradients(fabric: Fabric, weights: Iterable[Tensor]) -> None:
    """Replace the gradients of all devices by their mean.

    A weight without gradient on one device counts as zero there. One without gradient everywhere
    stays without, so that the optimiser leaves it as it is. Statistics, which have no gradient and
    change all the same, are replaced by their mean, too.

    Args:
        fabric: The devices.
        weights: Parameters and statistics, in the same order on all devices.
    """
    if fabric.world_size == 1:
        return
    parameters = []
    for weight in weights:
        if weight.requires_grad:
            parameters.append(weight)
        else:
            weight.copy_(mean_over_devices(fabric, weight.clone()))
    has = torch.tensor([float(p.grad is not None) for p in parameters])
    anywhere = mean_over_devices(fabric, has) > 0
    for parameter, wanted in zip(parameters, anywhere.tolist(), strict=True):
        if wanted:
            own = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            parameter.grad = mean_over_devices(fabric, own)
