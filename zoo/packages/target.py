"""What a target is: a name, whether it takes a model, and how it writes one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class Source:
    """The model that is written.

    Attributes:
        config: Of the model.
        tensors: Its weights under segment-anything's key names, and ``ais_decoder.*``; floats.
        manifest: Of the package that is being written, still without its files: name, licence,
            scores, texts of the card.
        made: What targets share, by name: the network, graphs that several of them write.
    """

    config: ModelConfig
    tensors: Tensors
    manifest: Manifest
    made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what is shared under a name, made when first asked for."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A format of another tool.

    Attributes:
        name: What ``--target`` takes, and the folder's name in the package.
        tools: Which tools load it, as the card names them.
        refusal: Says in one sentence why the target cannot take a model; empty if it can.
        write: Fills the target's folder, which exists and is empty.
    """

    name: str
    tools: tuple[str, ...]
    refusal: Callable[[ModelConfig], str]
    write: Callable[[Path, Source], None]
