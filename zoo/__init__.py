"""Merging, exporting, listing and opening models.

Only exporting, and writing PyTorch files, need torch. Names are imported when they are first
used, so that ``samzoo --help`` loads no NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checkpoints.conversion import convert
    from .checkpoints.writing import write_checkpoint
    from .hub.default_choice import DEFAULT_MODEL
    from .hub.names import load, resolve
    from .merging.folding import merge
    from .packages.adapter_assembly import export_adapters
    from .packages.assembly import export
    from .packages.shared_assembly import add_adapters, export_shared
    from .packages.shelf import shipped
    from .packages.verification import Report, verify
    from .targets import choose_targets

__all__ = [
    "DEFAULT_MODEL",
    "Report",
    "add_adapters",
    "choose_targets",
    "convert",
    "export",
    "export_adapters",
    "export_shared",
    "load",
    "merge",
    "resolve",
    "shipped",
    "verify",
    "write_checkpoint",
]

_MODULES = {
    "DEFAULT_MODEL": "hub.default_choice",
    "Report": "packages.verification",
    "add_adapters": "packages.shared_assembly",
    "choose_targets": "targets",
    "convert": "checkpoints.conversion",
    "export": "packages.assembly",
    "export_adapters": "packages.adapter_assembly",
    "export_shared": "packages.shared_assembly",
    "load": "hub.names",
    "merge": "merging.folding",
    "resolve": "hub.names",
    "shipped": "packages.shelf",
    "verify": "packages.verification",
    "write_checkpoint": "checkpoints.writing",
}
"""Where each public name is defined."""


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
