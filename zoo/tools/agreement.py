"""How far a tool's masks are from samzoo's, measured with the files that were just written.

In: a target's folder and the model. Out: rows of image size, contrast and mean IoU.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypedDict

import numpy as np

from samzoo.runtime.formats.arrays import Masks
from samzoo.runtime.formats.config import ModelConfig
from samzoo.runtime.images.geometry import field_of_view
from samzoo.runtime.large.embedding_store import EmbeddingStore
from samzoo.runtime.model import Model
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.packages.target import Source

from .examples import LOW_CONTRAST, Size, example_image, example_points
from .graph_trial import GraphTrial
from .weights_trial import WeightsTrial

PLAIN_SIZES: tuple[Size, ...] = ((192, 256),)
"""A model without a scale sees every image whole, as the tools do: one size, with padding."""

SCALE_SIZES: tuple[Size, ...] = ((256, 256), (512, 512), (1024, 1024))
"""For a model with a scale, agreement depends on the size (own choice of sizes); its field of view,
the size at which tools and samzoo show the encoder the same, is tried first."""

CLOSE = 0.9
"""Mean IoU from which a size counts as one at which the masks are samzoo's (own choice)."""


class Row(TypedDict):
    """One measurement.

    ``height`` and ``width`` of the image in pixels, its darkest and brightest value, and the mean
    IoU of the tool's masks with samzoo's over the example's points.
    """

    height: int
    width: int
    low: int
    high: int
    iou: float


def measure(folder: Path, source: Source, path: ToolPath) -> list[Row]:
    """Compare a tool's masks with samzoo's on example images.

    Args:
        folder: The target's folder, complete.
        source: The model that was written; ``made["sam"]`` holds its network.
        path: What the tool does with an image.

    Returns:
        One row for each image: every size at full contrast, with a scale the field of view first;
        and the first one at low contrast if the model or the tool stretches intensities.
    """
    trial: GraphTrial | WeightsTrial
    if path.graphs:
        trial = GraphTrial(folder, path, source.once("tools' embeddings", dict))
    else:
        trial = WeightsTrial(folder, source.config, path)
    rows: list[Row] = []
    for size, low_contrast in images_for(source.config, path):
        name = f"{size} {low_contrast}"
        ours = source.once(f"ours {name}", partial(_our_masks, source, size, low_contrast))
        image, points = example_image(size, low_contrast=low_contrast), example_points(size)
        theirs = source.once(f"{trial.key} {name}", partial(trial.masks, image, points))
        low, high = LOW_CONTRAST if low_contrast else (0, 255)
        iou = round(mean_iou(theirs, ours), 3)
        rows.append(Row(height=size[0], width=size[1], low=low, high=high, iou=iou))
    return rows


def images_for(config: ModelConfig, path: ToolPath) -> list[tuple[Size, bool]]:
    """Return the sizes of example images, each with whether its contrast is low.

    A low contrast is tried where the model or the tool stretches intensities.
    """
    scale = config.preprocessing.scale
    field = field_of_view(config.image_size, scale)
    sizes = PLAIN_SIZES if scale is None else tuple(dict.fromkeys(((field, field), *SCALE_SIZES)))
    images = [(size, False) for size in sizes]
    stretched = config.preprocessing.intensity != "none" or path.stretches
    return [*images, (sizes[0], True)] if stretched else images


def mean_iou(found: Masks, expected: Masks) -> float:
    """Return the mean IoU of pairs of masks; two empty masks agree."""
    inside = (found & expected).sum((1, 2))
    union = (found | expected).sum((1, 2))
    return float(np.where(union > 0, inside / np.maximum(union, 1), 1.0).mean())


def _our_masks(source: Source, size: Size, low_contrast: bool) -> Any:
    from samzoo.training.networks.graphs import TorchNetworks

    model = Model(source.config, TorchNetworks(source.made["sam"]))
    image, points = example_image(size, low_contrast=low_contrast), example_points(size)[:, None]
    with TemporaryDirectory() as folder:  # a store encodes the tiles with prompts alone
        embeddings = EmbeddingStore(folder).embed(model, image)
        return model.prompt(embeddings, points=points, point_labels=np.ones(points.shape[:2]))[0]
