"""The network of a finished adapter, as it was during training.

In: an adapter and its base. Out: a ``Sam`` with the method attached and its trained values, not
merged.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from samzoo.runtime.formats.adapter import AdapterConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.training.methods import get_method

from .sam import Sam, load_weights


def adapted(
    base_config: ModelConfig,
    base: Mapping[str, Any],
    config: AdapterConfig,
    adapter: Mapping[str, Any],
) -> Sam:
    """Build the network that an adapter describes.

    Args:
        base_config: The base's config.
        base: All weights of the base.
        config: The adapter's config.
        adapter: All tensors of the adapter, already checked to fit the base.

    Returns:
        The network in eval mode. For QLoRA its linear layers are in 4 bits.

    Raises:
        InputError: The method is unknown.
        FormatError: A tensor does not fit the config.
        MissingDependencyError: The method is QLoRA, and bitsandbytes is not installed.
    """
    method = get_method(config.method)
    encoder = base_config.architecture.image_encoder
    architecture = dataclasses.replace(config.architecture, image_encoder=encoder)
    sam = Sam(
        ModelConfig(architecture=architecture, preprocessing=config.preprocessing, ais=config.ais)
    )
    plain = {n: v for n, v in base.items() if n.startswith(ENCODER_PREFIX)}
    plain |= {n: v for n, v in adapter.items() if not n.startswith(ENCODER_PREFIX)}
    load_weights(sam, plain, where="adapter and base")
    settings = method.settings(config.hyperparameters, where="adapter")
    settings = method.resolved(settings, architecture)
    method.attach(sam.image_encoder, architecture, settings)
    parameters = dict(sam.named_parameters())
    with torch.no_grad():
        for name, value in adapter.items():
            if name.startswith(ENCODER_PREFIX):
                parameters[name].copy_(torch.from_numpy(value))
    return sam.eval()
