"""The finetuning methods as rows and as a table, with their trainable parameters.

In: the name of an architecture, or a folder with one. Out: JSON rows, or text. Needs no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from samzoo.runtime.errors import InputError, did_you_mean, shown
from samzoo.runtime.formats.architecture import Architecture, UnetrDecoderConfig
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.tiny_vit import TinyVitConfig
from samzoo.runtime.formats.families.vit import VitConfig
from samzoo.runtime.formats.fields import to_json
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.training.methods import METHODS
from samzoo.training.methods.counts import count_trainable

from .columns import text_table

ARCHITECTURES: dict[str, Architecture] = {
    "vit_b": Architecture(image_encoder=VitConfig()),
    "vit_l": Architecture(
        image_encoder=VitConfig(
            embed_dim=1024, depth=24, num_heads=16, global_attn_indexes=(5, 11, 17, 23)
        )
    ),
    "vit_h": Architecture(
        image_encoder=VitConfig(
            embed_dim=1280, depth=32, num_heads=16, global_attn_indexes=(7, 15, 23, 31)
        )
    ),
    "vit_t": Architecture(
        image_encoder=TinyVitConfig(image_size=1024, patch_kernel=3, patch_stride=2)
    ),
    "vit_t_256": Architecture(image_encoder=TinyVitConfig()),
}
"""The published architectures by name. Source: segment-anything and MobileSAM, ``build_sam.py``;
LiteMedSAM."""

AIS_DECODER = UnetrDecoderConfig(upsampling="transposed")
"""The AIS decoder that ``trainable_with_ais_decoder`` counts, as the paper's tables do."""

Row = dict[str, Any]


def architecture_named(name: str) -> Architecture:
    """Look up a published architecture, or read that of a base or model folder.

    Raises:
        InputError: The name is neither a known one nor a folder with a ``config.json``.
        FormatError: The folder's config is damaged.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    config = Path(name) / CONFIG_FILE
    if config.is_file():
        return ModelConfig.read(config).architecture
    raise InputError(
        f"unknown architecture {shown(name)}; known: {', '.join(ARCHITECTURES)}, or a base folder"
        f"{did_you_mean(name, ARCHITECTURES)}"
    )


def method_rows(architecture: Architecture) -> list[Row]:
    """Describe every method with its default hyperparameters on an architecture.

    Args:
        architecture: A base's architecture.

    Returns:
        One JSON object for each method. ``trainable`` counts the parameters that train in the image
        encoder, the prompt encoder and the mask decoder; ``trainable_with_ais_decoder`` also those
        of ``AIS_DECODER``; ``trainable_in_image_encoder`` the first of these alone.
    """
    rows = []
    for name, method in METHODS.items():
        settings = method.resolved(method.defaults, architecture)
        counts = count_trainable(method, architecture, settings, AIS_DECODER)
        rows.append(
            {
                "method": name,
                "formula": method.formula,
                "placement": method.placement,
                "trainable": counts.trainable,
                "trainable_with_ais_decoder": counts.trainable_with_ais_decoder,
                "trainable_in_image_encoder": counts.image_encoder,
                "folds": method.folds,
                "hyperparameters": to_json(settings),
            }
        )
    return rows


def method_table(architecture: Architecture) -> str:
    """Format the rows for a terminal; counts are in millions."""
    cells = [("method", "trainable [M]", "with AIS decoder [M]", "formula", "where")]
    cells += [
        (
            row["method"],
            millions(row["trainable"]),
            millions(row["trainable_with_ais_decoder"]),
            row["formula"],
            row["placement"],
        )
        for row in method_rows(architecture)
    ]
    return text_table(cells)


def millions(count: int) -> str:
    """Format a count as the paper's tables do, with two digits."""
    return f"{count / 1e6:.2f}"
