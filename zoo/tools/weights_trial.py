"""A trial of weights: the checkpoint that was written, run as a tool prepares images for it.

In: the files of a target, and an image with points. Out: the masks that the tool shows. The
preparation is segment-anything's ``SamPredictor``: the longest side to the model's size, pixel
statistics, padding. Source: segment-anything 1.0, ``predictor.py``.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from samzoo.runtime.formats.arrays import Masks, Tensors
from samzoo.runtime.formats.config import ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.runtime.formats.shapes import tensor_shapes
from samzoo.runtime.model import Model
from samzoo.zoo.checkpoints.reading import read_checkpoint
from samzoo.zoo.checkpoints.tools.differences import ToolPath
from samzoo.zoo.checkpoints.tools.folded_statistics import SAM_STATISTICS_FILE


class WeightsTrial:
    """A target's checkpoint, read back, in the network that a tool builds for it.

    Attributes:
        key: Equal for trials with equal answers.
    """

    def __init__(self, folder: Path, config: ModelConfig, path: ToolPath) -> None:
        """Read the files.

        Args:
            folder: The target's folder.
            config: The config of the model that was written.
            path: What the tool does with an image.
        """
        given = config.preprocessing
        preprocessing = Preprocessing()
        if path.statistics:
            preprocessing = Preprocessing(pixel_mean=given.pixel_mean, pixel_std=given.pixel_std)
        architecture = dataclasses.replace(
            config.architecture,
            ais_decoder=None,
            mask_decoder=dataclasses.replace(
                config.architecture.mask_decoder, point_output="multimask"
            ),
        )
        self._config = dataclasses.replace(
            config, architecture=architecture, preprocessing=preprocessing
        )
        self._stretches = path.stretches
        found = read_checkpoint(checkpoint_of(folder)).weights
        self._tensors: Tensors = {name: found[name] for name in tensor_shapes(architecture)}
        digest = weights_digest(self._tensors)
        self.key = f"{digest} {self._config.preprocessing} {path.stretches}"

    def masks(self, image: NDArray[np.uint8], points: NDArray[np.float32]) -> Masks:
        """Return the tool's mask for each point.

        Args:
            image: ``(height, width)`` grey.
            points: ``(n, 2)`` (x, y).

        Returns:
            ``(n, height, width)``; of three masks the one with the best predicted IoU.
        """
        from samzoo.training.networks.graphs import TorchNetworks
        from samzoo.training.networks.sam import Sam, load_weights

        if self._stretches:
            # Source: micro-sam 1.8.14, util._to_image.
            low, high = float(image.min()), float(image.max())
            image = ((image - low) / (high - low + 1e-7) * 255).astype(np.uint8)
        sam = Sam(self._config)
        load_weights(sam, self._tensors, where="the written checkpoint")
        model = Model(self._config, TorchNetworks(sam.eval()))
        prompts = points[:, None]
        return model.prompt(
            model.embed(image), points=prompts, point_labels=np.ones(prompts.shape[:2])
        )[0]


def checkpoint_of(folder: Path) -> Path:
    """Return what a tool loads from a target's folder: a file, or Hugging Face's folder."""
    if (folder / CONFIG_FILE).is_file():
        return folder
    files = sorted(path for path in folder.iterdir() if path.suffix in (".pt", ".pth"))
    folded = [path for path in files if path.name.endswith(SAM_STATISTICS_FILE)]
    return (folded or [path for path in files if not path.stem.endswith("_decoder")])[0]
