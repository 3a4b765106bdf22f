"""Detection of a SAM's architecture and preprocessing from the names and shapes of its weights.

In: tensors by the original SAM key names (anything with a ``shape``). Out: an ``Architecture`` and
its ``Preprocessing``. File names play no part.

The weights do not show the number of heads of the mask decoder's attention, for which this module
uses the published models' constant. How an encoder is read stands with its family, in
``runtime/formats/families``.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from samzoo.runtime.errors import FormatError, shown
from samzoo.runtime.formats.architecture import (
    AIS_CHANNELS,
    EMBEDDING_CHANNELS,
    AisDecoderConfig,
    Architecture,
    LightDecoderConfig,
    MaskDecoderConfig,
    UnetrDecoderConfig,
)
from samzoo.runtime.formats.config import PERCENTILES, Preprocessing
from samzoo.runtime.formats.families.encoder import EncoderConfig
from samzoo.runtime.formats.families.shape_reading import ShapeReader
from samzoo.runtime.formats.families.table import FAMILIES, family_of
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

logger = logging.getLogger(__name__)

STATISTICS = ("pixel_mean", "pixel_std")
"""Names of the buffers with pixel statistics. Source: segment-anything, ``sam.py``."""

TOLERANCE = 5e-3
"""Relative; bfloat16 rounds 123.675 to 123.5 (own choice)."""

TRANSFORMER_HEADS = 8
"""Heads of the mask decoder's attention. Source: segment-anything, ``build_sam.py``; the shapes
are the same for any number of heads."""


def architecture_of(tensors: Mapping[str, Any], *, where: str = "weights") -> Architecture:
    """Describe the networks that a set of weights belongs to.

    This reads only the tensors whose shapes give a number. ``convert`` checks that all others fit
    the network.

    Args:
        tensors: Arrays by the original SAM key names.
        where: The file, for messages.

    Returns:
        The networks in numbers; with an AIS decoder if there are tensors ``ais_decoder.*``.

    Raises:
        FormatError: A tensor is missing or has a shape that no supported network has.
    """
    shapes = ShapeReader(tensors, where, _supported())
    encoder = _image_encoder(shapes)
    shapes.of("image_encoder.neck.0.weight", EMBEDDING_CHANNELS, None, 1, 1)
    return Architecture(
        image_encoder=encoder,
        mask_decoder=_mask_decoder(shapes),
        ais_decoder=_ais_decoder(shapes),
    )


def preprocessing_of(architecture: Architecture) -> Preprocessing:
    """Return the preprocessing that the published model of this architecture was trained with.

    Args:
        architecture: The networks in numbers.

    Returns:
        SAM's pixel statistics for a ViT and for MobileSAM's stem. For LiteMedSAM's stem (1x1
        convolutions): from ``PERCENTILES`` to [0, 1], which is a stretch to 0..255 and then a
        division by 255, and no statistics. With micro-sam's AIS decoder:
        ``min_max`` and SAM's statistics (micro-sam stretches each channel of a color image by
        itself and cuts to whole numbers).

    Source:
        segment-anything, ``build_sam.py``. LiteMedSAM (Ma et al., 2024),
        ``CVPR24_LiteMedSAM_infer.py``: longest side to 256, min-max, zero padding. Its training
        images were cut at percentiles 0.5 and 99.5 before (MedSAM, ``pre_CT_MR.py``), so that the
        network knows both; with min-max alone one bright pixel makes an image black. micro-sam
        1.8.14, ``util.py``, ``_to_image``.
    """
    encoder = architecture.image_encoder
    if family_of(encoder).unit_range(encoder):
        return Preprocessing(
            intensity="percentile",
            percentiles=PERCENTILES,
            pixel_mean=(0.0, 0.0, 0.0),
            pixel_std=(255.0, 255.0, 255.0),
        )
    if isinstance(architecture.ais_decoder, UnetrDecoderConfig):
        return Preprocessing(intensity="min_max")
    return Preprocessing()


def with_statistics(
    preprocessing: Preprocessing, buffers: Mapping[str, Any], *, where: str
) -> Preprocessing:
    """Take the pixel statistics that a file has among its tensors.

    segment-anything does not save its buffers ``pixel_mean`` and ``pixel_std``; code derived from
    it may. Numbers up to 1 belong to images in 0..1 and are multiplied by 255.

    Args:
        preprocessing: What to use where the file says nothing.
        buffers: Those of ``STATISTICS`` that the file has, three values each.
        where: The file, for messages.

    Raises:
        FormatError: Not three values each, or a standard deviation that is not positive.
    """
    if not buffers:
        return preprocessing
    for name, value in buffers.items():
        if value.size != 3:
            raise FormatError(f"{where}: tensor {name!r}: expected 3 values, found {value.size}")
    plain = {name: np.ravel(buffers.get(name, getattr(preprocessing, name))) for name in STATISTICS}
    if "pixel_std" in buffers and max(np.abs(np.concatenate([*plain.values()]))) <= 1:
        plain = {name: value * 255 for name, value in plain.items()}
    known = (preprocessing, Preprocessing())
    for each in known:
        if all(np.allclose(plain[n], getattr(each, n), rtol=TOLERANCE) for n in STATISTICS):
            return dataclasses.replace(
                preprocessing, pixel_mean=each.pixel_mean, pixel_std=each.pixel_std
            )
    if min(plain["pixel_std"]) <= 0:
        raise FormatError(f"{where}: tensor 'pixel_std': expected positive values")
    mean, std = (tuple(round(float(v), 6) for v in plain[name]) for name in STATISTICS)
    logger.warning(
        "%s: has its own pixel statistics, mean %s and standard deviation %s for images in 0..255; "
        "the base uses them. If the training did not use them, change them in the base's "
        "config.json", where, mean, std,
    )  # fmt: skip
    return dataclasses.replace(
        preprocessing, pixel_mean=(mean[0], mean[1], mean[2]), pixel_std=(std[0], std[1], std[2])
    )


def _supported() -> str:
    known = " or ".join(
        f"a {family.noun} ({family.known_from}: {ENCODER_PREFIX}{family.mark}*)"
        for family in FAMILIES
    )
    return f"supported are SAM's image_encoder/prompt_encoder/mask_decoder with {known}"


def _image_encoder(shapes: ShapeReader) -> EncoderConfig:
    for family in FAMILIES:
        if any(name.startswith(f"{ENCODER_PREFIX}{family.mark}") for name in shapes.tensors):
            encoder: EncoderConfig = family.detect(shapes)
            return encoder
    found = ", ".join(shown(name, limit=60) for name in list(shapes.tensors)[:3]) or "no tensors"
    raise FormatError(
        f"{shapes.where}: not the weights of a known SAM, found {found}; {shapes.supported}"
    )


def _mask_decoder(shapes: ShapeReader) -> MaskDecoderConfig:
    channels = EMBEDDING_CHANNELS
    _, mask_in_chans, _, _ = shapes.of(
        "prompt_encoder.mask_downscaling.6.weight", channels, None, 1, 1
    )
    tokens, _ = shapes.of("mask_decoder.mask_tokens.weight", None, channels)
    if tokens < 2:
        shapes.refuse("mask_decoder.mask_tokens.weight", f"{tokens} tokens", "at least 2")
    mlp_dim, _ = shapes.of("mask_decoder.transformer.layers.0.mlp.lin1.weight", None, channels)
    iou_depth = shapes.count("mask_decoder.iou_prediction_head.layers.")
    hidden = MaskDecoderConfig.iou_head_hidden_dim  # a head of one layer has none
    if iou_depth > 1:
        hidden, _ = shapes.of("mask_decoder.iou_prediction_head.layers.0.weight", None, channels)
    return MaskDecoderConfig(
        mask_in_chans=mask_in_chans,
        num_multimask_outputs=tokens - 1,
        transformer_depth=shapes.count("mask_decoder.transformer.layers."),
        transformer_mlp_dim=mlp_dim,
        transformer_num_heads=TRANSFORMER_HEADS,
        iou_head_depth=iou_depth,
        iou_head_hidden_dim=hidden,
    )


def _ais_decoder(shapes: ShapeReader) -> AisDecoderConfig | None:
    root, channels = "ais_decoder", EMBEDDING_CHANNELS
    names = [name for name in shapes.tensors if name.startswith(f"{root}.")]
    if not names:
        return None
    if f"{root}.reduce.0.weight" in names:
        first, _, _, _ = shapes.of(f"{root}.reduce.0.weight", None, channels, 1, 1)
        second, _, _, _ = shapes.of(f"{root}.up1.0.0.weight", None, first, 3, 3)
        third, _, _, _ = shapes.of(f"{root}.up2.0.weight", None, second, 3, 3)
        return LightDecoderConfig(channels=(first, second, third))
    features: list[int] = []
    for level in range(1, 5):
        size, _, _, _ = shapes.of(f"{root}.deconv{level}.block.1.block.weight", None, None, 3, 3)
        if features and size > features[-1]:
            name = f"{root}.deconv{level}.block.1.block.weight"
            shapes.refuse(
                name, f"{size} channels", f"at most the {features[-1]} of the level below"
            )
        features.append(size)
    shapes.of(f"{root}.out_conv.weight", len(AIS_CHANNELS), features[3], 1, 1)
    # micro-sam tells them apart in the same way: a transposed convolution is called `block`.
    transposed = any(name.startswith(f"{root}.decoder.samplers.0.block.") for name in names)
    return UnetrDecoderConfig(
        features=(features[0], features[1], features[2], features[3]),
        upsampling="transposed" if transposed else "bilinear",
    )
