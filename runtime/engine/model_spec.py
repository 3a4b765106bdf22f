"""The description of an opened model, from which another process can open the same model.

In: the arguments of ``loading.load``. Out: plain values that can be sent to a worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from .providers import CPU


@dataclass(frozen=True)
class ModelSpec:
    """The package to open, and how to open it.

    Attributes:
        package: The package's folder.
        base: The folder of the package with the encoder, if this package has adapters only.
        adapter: The adapter in use, if the package has several; None is the first.
        threads: CPU threads of one operator; None is all cores.
        provider: Where the graphs run.
        diameter: Diameter of the image's objects in image pixels; None is the model's own scale.
    """

    package: str
    base: str | None = None
    adapter: str | None = None
    threads: int | None = None
    provider: str = CPU
    diameter: float | None = None
