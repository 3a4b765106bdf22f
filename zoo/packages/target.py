"""What a target is: another tool's format, with a check for models and a function that writes one.

In: the targets that a user chose. Out: those that can take the model. The table of targets is in
``zoo/targets/``, a room above this one, and is passed in.
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
from samzoo.zoo.checkpoints.tools.differences import ToolPath

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Source:
    """The model that a target writes.

    Attributes:
        config: The model's config.
        tensors: Its weights under segment-anything's key names, and ``ais_decoder.*``; floats.
        manifest: The manifest of the package being written, still without its files: name, licence,
            scores, texts of the card.
        scratch: A folder for what several targets need and no package keeps.
        made: Objects that targets share, by name: the network, and the paths of graphs that several
            targets write.
        measured: How far the masks of each target's tool are from samzoo's, by target; filled
            while targets are written.
    """

    config: ModelConfig
    tensors: Tensors
    manifest: Manifest
    scratch: Path = Path()
    made: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return the shared object of a name, and make it at the first call."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A format of another tool.

    Attributes:
        name: The value of ``--target``, and the folder's name in the package.
        tools: The tools that load the format, by their names in the card.
        refusal: A function that says in one sentence why the target cannot take a model; the
            sentence is empty if it can.
        write: A function that fills the target's folder, which exists and is empty.
        path: What the tool does with an image; None if the files say all of it.
        optional: If the target cannot take the model, leave it out and log why, instead of
            raising an error.
    """

    name: str
    tools: tuple[str, ...]
    refusal: Callable[[ModelConfig], str]
    write: Callable[[Path, Source], None]
    path: ToolPath | None = None
    optional: bool = False


def fitting(targets: Sequence[Target], config: ModelConfig) -> list[Target]:
    """Pick the targets that can take a model.

    Args:
        targets: The chosen targets.
        config: The model's config.

    Raises:
        InputError: A target that is not optional cannot take the model; the message says why.
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
