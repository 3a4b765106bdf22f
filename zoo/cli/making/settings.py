"""The options that say what is trained on what: the base, and the settings of a run.

In: the command line of ``train`` or ``plan``. Out: a ``TrainConfig``.
"""

from __future__ import annotations

import dataclasses
from argparse import ArgumentParser
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from samzoo.training.config import TrainConfig


class SettingsOptions(Protocol):
    """The options of ``add_settings`` that make a config."""

    @property
    def config(self) -> str:
        """A file or a preset."""

    @property
    def ais_decoder(self) -> Literal["light", "unetr", "none"] | None:
        """Kind of AIS decoder; None for the config's."""


def add_base(parser: ArgumentParser) -> None:
    """Add ``--base``."""
    parser.add_argument(
        "--base", required=True, type=Path, metavar="BASE", help="base folder to finetune"
    )


def add_settings(parser: ArgumentParser) -> None:
    """Add ``--config`` and ``--ais-decoder``."""
    parser.add_argument(
        "--config", default="laptop", metavar="FILE.toml",
        help="file with the settings, or a preset: laptop (default), paper",
    )  # fmt: skip
    parser.add_argument(
        "--ais-decoder", choices=("light", "unetr", "none"),
        help="AIS decoder to train, instead of the config's; a base that has one keeps its own",
    )  # fmt: skip


def chosen_config(options: SettingsOptions, **given: Any) -> TrainConfig:
    """Read the config, with what the command line says instead.

    Args:
        options: The command line.
        **given: Further settings by name; those that are None stay the config's.

    Raises:
        InputError: The file is missing, or a setting is unknown or out of range.
    """
    from samzoo.training.config import TrainConfig

    config = TrainConfig.read(options.config)
    config = dataclasses.replace(
        config, **{name: value for name, value in given.items() if value is not None}
    )
    if options.ais_decoder is not None:
        config = config.with_ais_decoder(options.ais_decoder)
    return config
