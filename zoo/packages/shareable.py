"""The check whether adapters can share one encoder, from their configs.

In: adapter folders by name. Out: their configs, and the weights that their encoder must hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from samzoo.runtime.errors import InputError, shown, use_each
from samzoo.runtime.formats.adapter import (
    ADAPTER_CONFIG_FILE,
    AdapterConfig,
    is_adapter,
    read_adapter_config,
)
from samzoo.runtime.formats.manifest import check_name
from samzoo.training.methods import get_method
from samzoo.training.methods.table import factored_methods
from samzoo.zoo.merging.merged_weights import QloraBase, check_qlora_base


def read_configs(adapters: Mapping[str, Path]) -> dict[str, AdapterConfig]:
    """Read the configs of adapters whose methods can share an encoder.

    Args:
        adapters: Folders by name.

    Returns:
        Configs by name.

    Raises:
        InputError: There is no adapter, a folder is not an adapter, or its method changes more than
            factors can express. The message lists all adapters that cannot be used.
        FormatError: A config is damaged, or a name has characters that are not allowed.
    """
    if not adapters:
        raise InputError("a shared encoder needs at least one adapter; name its folder")
    configs = use_each("adapters", adapters.items(), lambda each: _read_config(each[1], each[0]))
    return dict(zip(adapters, configs, strict=True))


def _read_config(folder: Path, name: str) -> AdapterConfig:
    check_name(name, f"{folder}: the adapter's name")
    if not is_adapter(folder):
        raise InputError(
            f"{folder}: holds no {ADAPTER_CONFIG_FILE}; a shared encoder takes adapters only, "
            "export a model on its own"
        )
    config = read_adapter_config(folder / ADAPTER_CONFIG_FILE)
    if not get_method(config.method).factored:
        allowed = ", ".join(factored_methods())
        raise InputError(
            f"{folder}: method: found {config.method!r}, which changes more of the encoder than "
            f"LoRA factors; allowed under a shared encoder are {allowed}. Give it a "
            f"package of its own: samzoo export {folder} -o PACKAGE"
        )
    return config


def common_quantization(
    configs: Mapping[str, AdapterConfig], adapters: Mapping[str, Path], qlora_base: QloraBase
) -> str | None:
    """Find the rounding of the encoder's weights that all adapters need.

    QLoRA's factors were trained on rounded weights, LoRA's on the base's own. Over the other
    weights, each gives another model.

    Args:
        configs: The adapters' configs by name.
        adapters: The adapters' folders by name.
        qlora_base: See ``merge``.

    Returns:
        ``fp4`` or ``nf4``; None for the base's own weights.

    Raises:
        InputError: The adapters need different weights.
    """
    check_qlora_base(qlora_base, [config.method for config in configs.values()])
    needed: dict[str, str | None] = dict.fromkeys(configs)
    if qlora_base == "dequantized":
        for name, config in configs.items():
            method, where = get_method(config.method), str(adapters[name])
            settings = method.settings(config.hyperparameters, where=where)
            needed[name] = method.quantization(settings)
    first, *others = needed
    for other in others:
        if needed[other] != needed[first]:
            raise InputError(
                f"{adapters[other]}: needs an encoder with {_weights(needed[other])}, "
                f"{adapters[first]} one with {_weights(needed[first])}; export them into two "
                "packages, or pass --qlora-base original, with which QLoRA's factors are added to "
                "weights that they were not trained on"
            )
    return needed[first]


def _weights(quantization: str | None) -> str:
    return (
        "the base's own weights" if quantization is None else f"weights rounded to {quantization}"
    )


def check_quantization(needed: str | None, held: object, package: Path) -> None:
    """Refuse adapters that need other weights than a package's encoder holds.

    Raises:
        InputError: The adapters need other weights.
    """
    if needed != held:
        found = _weights(held if isinstance(held, str) or held is None else shown(held))
        raise InputError(
            f"{package}: its encoder holds {found}, the adapters need {_weights(needed)}; export "
            "them into a package of their own"
        )
