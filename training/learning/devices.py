"""Several devices or processes that learn together: each from its own crops.

In: a number of devices; then gradients. Out: a Fabric; then the same gradients on all devices, the
mean of all. On one device nothing happens.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor

from samzoo.runtime.errors import InputError

from .precision import Precision

PATIENCE = timedelta(days=7)
"""How long a device waits for the others: while one validates, that is longer than torch's half an
hour (own choice)."""

Value = TypeVar("Value")


def check_devices(devices: int) -> None:
    """Refuse to train on more devices than there are.

    Args:
        devices: GPUs, or on a machine without one processes on its cores.

    Raises:
        InputError: There are fewer, or this kind of device cannot work together.
    """
    if devices < 1:
        raise InputError(f"--devices: found {devices}, allowed is a number from 1 on")
    if devices == 1:
        return
    kind = Fabric(accelerator="auto", devices=1).device.type
    if kind not in ("cpu", "cuda") or not torch.distributed.is_available():
        raise InputError(
            f"--devices: found {devices}, but devices of the kind {kind} cannot train together "
            "with this torch; omit it"
        )
    there = torch.cuda.device_count() if kind == "cuda" else os.cpu_count() or 1
    if devices > there:
        what = "GPUs" if kind == "cuda" else "cores and no GPU"
        raise InputError(f"--devices: found {devices}, but this machine has {there} {what}")


def fabric_for(devices: int, precision: Precision) -> Fabric:
    """Make a Fabric for this process, which meets those of the other devices, if there are any.

    Args:
        devices: Number of processes. If there are several, each has torch's environment variables,
            and its own share of this machine's cores.
        precision: The run's precision.
    """
    if devices == 1:
        return Fabric(accelerator="auto", devices=1, precision=precision)
    strategy = DDPStrategy(timeout=PATIENCE)
    fabric = Fabric(accelerator="auto", devices=devices, strategy=strategy, precision=precision)
    fabric.launch()
    if fabric.device.type == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // devices))
    return fabric


def from_first(fabric: Fabric, value: Value) -> Value:
    """Return the first device's value on all devices."""
    if fabric.world_size == 1:
        return value
    found: Value = fabric.broadcast(value, src=0)
    return found


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
