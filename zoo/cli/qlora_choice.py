"""The choice of the weights that a QLoRA adapter is folded into (``--qlora-base``).

In: the option and the adapters. Out: the argument of the functions that merge.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.adapter import ADAPTER_CONFIG_FILE, is_adapter, read_adapter_config
from samzoo.training.methods import get_method
from samzoo.zoo.merging.merged_weights import DEFAULT_QLORA_BASE


def chosen_qlora_base(given: str | None, adapters: Sequence[Path]) -> Any:
    """Return the chosen weights, or the default.

    Raises:
        InputError: The option was given, but no adapter was trained on a rounded base.
    """
    if given is None:
        return DEFAULT_QLORA_BASE
    for folder in adapters:
        if not is_adapter(folder):
            raise InputError(f"--qlora-base is for adapters, but {folder} is not one; omit it")
    methods = [read_adapter_config(folder / ADAPTER_CONFIG_FILE).method for folder in adapters]
    if all(get_method(method).quantized is None for method in methods):
        raise InputError(f"--qlora-base is for QLoRA adapters, found {', '.join(methods)}; omit it")
    return given
