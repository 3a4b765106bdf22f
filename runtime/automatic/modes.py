"""The modes of automatic segmentation, each with its parameters.

In: a mode and parameters from a caller. Out: checked parameters.
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
        ais: The model's own parameters for the mode ``ais``.

    Raises:
        InputError: The mode is unknown, or the parameters belong to another mode.
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
