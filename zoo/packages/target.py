"""What a target is: a name, whether it takes a model, and how it writes one.

In: the targets that a user chose. Out: those that can take the model. The table of targets stands
in ``zoo/targets/``, above this room, and is passed in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.manifest import Manifest

logger = logging.getLogger(__name__)


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
        optional: A model that the target cannot take is no error: the target is left out, and a
            log line says why.
    """

    name: str
    tools: tuple[str, ...]
    refusal: Callable[[ModelConfig], str]
    write: Callable[[Path, Source], None]
    optional: bool = False


def fitting(targets: Sequence[Target], config: ModelConfig) -> list[Target]:
    """Pick the targets that can take a model.

    Args:
        targets: As they were chosen.
        config: The model's.

    Raises:
        InputError: One that is not optional cannot take the model; says why.
    """
    found = []
    for target in targets:
        reason = target.refusal(config)
        if not reason:
            found.append(target)
        elif target.optional:
            logger.warning("target %s left out: %s", target.name, reason)
        else:
            raise InputError(f"target {target.name}: {reason}")
    return found
