"""The package that a model was opened from: enough to open the same model in another process.

In: the arguments of ``loading.load``. Out: plain values that can be sent to a worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from .providers import CPU


@dataclass(frozen=True)
class ModelSpec:
    """Which model to open, and how.

    Attributes:
        package: The package's folder.
        base: The folder with the encoder, for a package of adapters alone.
        adapter: The adapter in use, for a package with several; None is the first.
        threads: CPU threads of one operator; None is all cores.
        provider: Where the graphs run.
    """

    package: str
    base: str | None = None
    adapter: str | None = None
    threads: int | None = None
    provider: str = CPU
