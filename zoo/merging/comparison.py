"""Comparison of a merged model with the network that it was made from, on one image.

In: an adapter, the model merged from it, an image. Out: the largest differences of the image
embeddings. Needs torch.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from samzoo.runtime.dependencies import require, require_installed
from samzoo.runtime.formats.adapter import AdapterConfig, open_adapter, read_adapter
from samzoo.runtime.formats.arrays import Array
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.folders import read_model_folder
from samzoo.runtime.model import Model
from samzoo.training.methods import get_method


@dataclass(frozen=True)
class Difference:
    """Difference between a merged model's image embeddings and another network's.

    Attributes:
        network: The other network, in words.
        absolute: Largest absolute difference of a value.
        relative: ``absolute``, divided by the other network's largest absolute value.
    """

    network: str
    absolute: float
    relative: float

    def __str__(self) -> str:
        """Describe the difference in one line."""
        return (
            f"largest difference from {self.network}: {self.absolute:.2g} "
            f"({self.relative:.2g} of the largest value)"
        )


def require_packages(adapter: Path) -> None:
    """Check that an adapter's network can be built, before a long merge starts.

    Raises:
        NotFoundError: There is no adapter.
        FormatError: The adapter is damaged.
        MissingDependencyError: torch is not installed, or bitsandbytes for QLoRA.
    """
    require_installed("torch", extra="train")
    if get_method(open_adapter(adapter)[0].method).quantized is not None:
        require_installed("bitsandbytes", extra="qlora")


def merge_differences(
    adapter: Path, model: Path, image: Array, *, base: Path | None = None
) -> list[Difference]:
    """Compare a merged model with its adapter's own network.

    Args:
        adapter: The adapter's folder.
        model: The folder that ``merge`` made from it.
        image: An image; see ``samzoo.runtime.read_image``.
        base: The base's folder; by default the folder where it lay while training.

    Returns:
        One row for the network as it was trained. For a method that trains on a rounded base
        (QLoRA), also a row for the adapter on the base's own weights; ``qlora_base="original"``
        merges these.

    Raises:
        NotFoundError: A file is missing.
        FormatError: A file is damaged, or they do not belong together.
        MissingDependencyError: torch is not installed, or bitsandbytes for QLoRA.
    """
    require("torch", extra="train")
    from samzoo.training.networks.sam import Sam, load_weights

    config, tensors = read_adapter(adapter)
    model_config, weights = read_model_folder(model)
    sam = Sam(model_config)
    load_weights(sam, weights, where=str(model))
    found = _embeddings(sam.eval(), image)
    del sam, weights
    base_folder = base or Path(config.base_path)
    rows = []
    for network, described in _networks(config):
        expected = _embeddings(_adapted(base_folder, described, tensors), image)
        absolute = float(np.abs(found - expected).max())
        relative = absolute / max(float(np.abs(expected).max()), float(np.finfo(np.float32).tiny))
        rows.append(Difference(network=network, absolute=absolute, relative=relative))
    return rows


def _networks(config: AdapterConfig) -> list[tuple[str, AdapterConfig]]:
    quantized = get_method(config.method).quantized
    if quantized is None:
        return [("the adapter's network", config)]
    names = to_json(get_method(quantized.of).defaults)
    plain = {k: v for k, v in config.hyperparameters.items() if k in names}
    return [
        ("the adapter's network, 4-bit", config),
        (
            "the adapter on the base as it is",
            dataclasses.replace(config, method=quantized.of, hyperparameters=plain),
        ),
    ]


def _adapted(base: Path, config: AdapterConfig, tensors: Mapping[str, Any]) -> Any:
    from samzoo.training.networks.adapter_network import adapted

    return adapted(*read_model_folder(base), config, tensors)


def _embeddings(sam: Any, image: Array) -> Array:
    from samzoo.training.networks.graphs import TorchNetworks

    values: Array = np.asarray(Model(sam.config, TorchNetworks(sam)).embed(image).values)
    return values
