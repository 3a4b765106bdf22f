"""Weights for tools that always normalise with SAM's pixel mean and std.

In: a model with other pixel statistics. Out: a first layer that undoes SAM's statistics and applies
the model's. ``(x - m') / s'`` is ``u * s / s' + (m - m') / s'`` of what such a tool computes,
``u = (x - m) / s``: a factor and a shift for each channel, so they go into the first convolution.

Exact are all pixels whose convolution lies inside the image. Tools pad with ``u = 0``, SAM's mean,
where samzoo pads with the model's mean, and a convolution with padding of its own (MobileSAM's)
sees zeros that the shift does not reach. What depends on the image (its minimum and maximum, its
percentiles) and gamma, which is no affine function, cannot be folded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from samzoo.runtime.formats.arrays import Tensors
from samzoo.runtime.formats.config import SAM_PIXEL_MEAN, SAM_PIXEL_STD, ModelConfig, Preprocessing
from samzoo.runtime.formats.families.table import family_of
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX

SAM_STATISTICS_FILE = "_0_255.pth"
"""End of the name of a second file, with folded statistics, where the first is for a tool that
takes images in 0..1."""

FIRST_LAYERS = (
    ("patch_embed.proj.weight", "patch_embed.proj.bias", 1.0),
    ("patch_embed.seq.0.c.weight", "patch_embed.seq.0.bn.running_mean", -1.0),
)
"""The first convolution of each family, and the tensor that takes the shift, with its sign: a bias
is added, a BatchNorm's mean is subtracted."""


def has_sam_statistics(preprocessing: Preprocessing) -> bool:
    """Tell whether a model has SAM's own pixel mean and std."""
    return (preprocessing.pixel_mean, preprocessing.pixel_std) == (SAM_PIXEL_MEAN, SAM_PIXEL_STD)


def takes_sam_statistics(config: ModelConfig) -> bool:
    """Tell whether plain files of a model work in tools that normalise with SAM's statistics.

    They do if the model has these statistics, or if they are folded. They are not folded into a
    network whose own tool takes images in 0..1 (LiteMedSAM), since that tool does not normalise.
    """
    encoder = config.architecture.image_encoder
    return has_sam_statistics(config.preprocessing) or not family_of(encoder).unit_range(encoder)


def fold_statistics(preprocessing: Preprocessing, tensors: Mapping[str, Any]) -> Tensors:
    """Fold a model's pixel statistics into its first layer.

    Args:
        preprocessing: The model's; ``pixel_mean`` and ``pixel_std`` are used.
        tensors: The model's weights by the names of a model folder, float32.

    Returns:
        The same tensors, with another first layer; unchanged for SAM's own statistics.
    """
    result = dict(tensors)
    if has_sam_statistics(preprocessing):
        return result
    mean, std = (np.array(value, np.float64) for value in (SAM_PIXEL_MEAN, SAM_PIXEL_STD))
    own_mean, own_std = (
        np.array(value, np.float64) for value in (preprocessing.pixel_mean, preprocessing.pixel_std)
    )
    factor, shift = std / own_std, (mean - own_mean) / own_std
    for weight, offset, sign in FIRST_LAYERS:
        name = f"{ENCODER_PREFIX}{weight}"
        if name not in result:
            continue
        kernel = np.asarray(result[name], np.float64)
        moved = sign * (kernel * shift[:, None, None]).sum((1, 2, 3))
        old = result[f"{ENCODER_PREFIX}{offset}"]
        result[name] = (kernel * factor[:, None, None]).astype(np.float32)
        result[f"{ENCODER_PREFIX}{offset}"] = (np.asarray(old, np.float64) + moved).astype(
            np.float32
        )
        return result
    raise AssertionError("no first layer found")
