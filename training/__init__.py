"""Finetuning SAM: annotated images in, an adapter out.

Names are imported when they are first used. The table of methods, the settings and the adapter
format need no torch, so that merging and listing run without it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from samzoo.runtime.dependencies import install_advice
from samzoo.runtime.errors import MissingDependencyError

if TYPE_CHECKING:
    from samzoo.runtime.formats.adapter import read_adapter

    from .config import TrainConfig
    from .data.annotated import Annotated
    from .data.division import split
    from .data.reading import read_annotated
    from .fit.loop import train
    from .methods import METHODS, get_method
    from .networks.graphs import TorchNetworks
    from .networks.sam import Sam, load_sam

__all__ = [
    "METHODS",
    "Annotated",
    "Sam",
    "TorchNetworks",
    "TrainConfig",
    "get_method",
    "load_sam",
    "read_adapter",
    "read_annotated",
    "split",
    "train",
]

_MODULES = {
    "METHODS": "samzoo.training.methods",
    "Annotated": "samzoo.training.data.annotated",
    "Sam": "samzoo.training.networks.sam",
    "TorchNetworks": "samzoo.training.networks.graphs",
    "TrainConfig": "samzoo.training.config",
    "get_method": "samzoo.training.methods",
    "load_sam": "samzoo.training.networks.sam",
    "read_adapter": "samzoo.runtime.formats.adapter",
    "read_annotated": "samzoo.training.data.reading",
    "split": "samzoo.training.data.division",
    "train": "samzoo.training.fit.loop",
}
"""The module of each public name."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{__name__}.{name} needs the package {error.name!r}, which is not installed; "
            f"{install_advice('train')}"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
