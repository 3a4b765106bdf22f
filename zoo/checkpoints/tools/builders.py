"""The networks that tools build for bare weights, which say nothing of their own sizes.

In: a model's config. Out: a sentence on how a tool builds this network, or that it cannot.
"""

from __future__ import annotations

import dataclasses

from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.formats.families.table import family_of

PUBLISHED_SIDE = 1024
"""Image size of every SAM that ``sam_model_registry`` builds. Source: segment-anything 1.0,
``build_sam.py``."""


def published_size(config: ModelConfig) -> str:
    """Return ``vit_b``, ``vit_l``, ``vit_h`` or ``vit_t`` (MobileSAM); empty for other sizes."""
    encoder = config.architecture.image_encoder
    if encoder.image_size != PUBLISHED_SIDE:
        return ""
    size: str = family_of(encoder).size(encoder)
    return size


def unusual_network(config: ModelConfig) -> str:
    """Say that no registry builds a network, and give its numbers; empty for published sizes."""
    if published_size(config):
        return ""
    encoder = config.architecture.image_encoder
    family = family_of(encoder)
    if family.unit_range(encoder):
        return (
            f"LiteMedSAM's own code builds this network, a {family.noun} at {encoder.image_size} "
            "pixels; the registries of segment-anything and MobileSAM do not."
        )
    numbers = ", ".join(
        f"{field.name}={getattr(encoder, field.name)}"
        for field in dataclasses.fields(encoder)
        if field.name not in ("type", "adaptformer")
    )
    return (
        f"No registry builds this network, a {family.noun} at {encoder.image_size} pixels. "
        f"The file holds weights alone: build the network yourself with {numbers}."
    )
