"""The ways to segment automatically, and which parameters belong to which.

In: what a caller asks for. Out: checked parameters. Called by ``model.py`` and the command line.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.config import AisParameters

from .amg import AmgParameters
from .apg import ApgParameters

Mode: TypeAlias = Literal["ais", "amg", "apg"]

MODES: tuple[Mode, ...] = get_args(Mode)

Parameters: TypeAlias = AisParameters | AmgParameters | ApgParameters


def parameters_of(mode: Mode, parameters: Parameters | None, ais: AisParameters) -> Parameters:
    """Return the parameters of a mode.

    Args:
        mode: One of ``MODES``.
        parameters: The caller's, or None for the defaults.
        ais: The model's own for the mode ``ais``.

    Raises:
        InputError: The mode is not known, or the parameters belong to another.
    """
    defaults: dict[str, Parameters] = {
        "ais": ais, "amg": AmgParameters(), "apg": ApgParameters(),
    }  # fmt: skip
    if mode not in defaults:
        raise InputError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    wanted = type(defaults[mode])
    if parameters is not None and not isinstance(parameters, wanted):
        raise InputError(
            f"parameters of the mode {mode} are {wanted.__name__}, got {type(parameters).__name__}"
        )
    return parameters or defaults[mode]
