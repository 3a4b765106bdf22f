"""The machine on which a run would train: its device, its free memory, its speed.

In: nothing. Out: a ``Machine``. Speed is measured in half a second, on the two things that a step
does: matrix products, and passes over memory.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from .step_cost import Work

SERVER_GPU = 32 * 2**30
"""Memory from which a GPU counts as a server's (own choice: cards for workstations and games have
up to 32 GB; the paper's server GPU has 80)."""

MATRIX, VECTOR = 1024, 16 * 2**20
"""Side of the matrices, and float32 numbers of the vectors, that are timed: larger than a
processor's cache, as in a step."""

ROUNDS = 5
"""Times that each is timed; the fastest counts, because other work only slows it."""


@dataclass(frozen=True)
class Machine:
    """What a run has to fit into.

    Attributes:
        device: ``cpu``, ``cuda`` or ``mps``.
        name: The device, in words.
        memory: Bytes of the device's memory in all.
        free: Bytes that are free now.
        resident: Bytes of this memory that the process takes before it has any model.
        flops: Floating point operations a second, of matrix products in float32; 0 is unknown.
        bandwidth: Bytes a second, read and written; 0 is unknown.
    """

    device: str
    name: str
    memory: int
    free: int
    resident: int
    flops: float = 0.0
    bandwidth: float = 0.0

    @property
    def on_server(self) -> bool:
        """Whether this is a server's GPU."""
        return self.device == "cuda" and self.memory >= SERVER_GPU

    def seconds(self, work: Work) -> float | None:
        """Estimate how long some work takes; None where the speed is unknown."""
        if not (self.flops and self.bandwidth):
            return None
        return work.flops / self.flops + work.moved / self.bandwidth


def this_machine(*, measure_speed: bool = True) -> Machine:
    """Describe the device on which training would run.

    Args:
        measure_speed: Time the device, which takes about half a second.
    """
    import lightning_fabric
    import torch

    device = lightning_fabric.Fabric(accelerator="auto", devices=1).device
    resident = resident_bytes()
    flops, bandwidth = _speed(device) if measure_speed else (0.0, 0.0)
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        name = torch.cuda.get_device_name(device)
        return Machine("cuda", name, total, free, 0, flops, bandwidth)
    total, free = memory()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    name = f"{cores} cores" if device.type == "cpu" else device.type
    return Machine(device.type, name, total, free, resident, flops, bandwidth)


def resident_bytes() -> int:
    """Return the memory that this process has now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def memory() -> tuple[int, int]:
    """Return the computer's memory, and what of it is free for a new process, in bytes.

    A container's limit counts, where there is one. Where the system does not tell what is free,
    that is all of it.
    """
    total = free = 0
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        total = free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = re.search(r"MemAvailable:\s+(\d+) kB", _text("/proc/meminfo"))
    if found:
        free = int(found[1]) * 1024
    limit, used = _text("/sys/fs/cgroup/memory.max"), _text("/sys/fs/cgroup/memory.current")
    if limit.isdigit() and used.isdigit():
        total, free = min(total, int(limit)), min(free, int(limit) - int(used))
    return total, max(free, 0)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _speed(device: object) -> tuple[float, float]:
    """Return operations and bytes a second of a device."""
    import torch

    def wait() -> None:
        if getattr(device, "type", "") == "cuda":
            torch.cuda.synchronize()

    a = torch.ones(MATRIX, MATRIX, device=device)  # type: ignore[call-overload]
    x = torch.ones(VECTOR, device=device)  # type: ignore[call-overload]
    products = _fastest(lambda: a @ a, wait)
    passes = _fastest(lambda: x.mul_(1.0), wait)
    return 2 * MATRIX**3 / products, 2 * x.numel() * x.element_size() / passes


def _fastest(run: Callable[[], object], wait: Callable[[], None]) -> float:
    times = []
    for _ in range(ROUNDS + 1):
        wait()
        start = time.perf_counter()
        run()
        wait()
        times.append(time.perf_counter() - start)
    return min(times)
