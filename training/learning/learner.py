"""One training step: a crop, one encoder pass, both objectives, one optimiser step.

In: the model, and the samples from which crops are drawn. Out: changed weights, and the step's
loss.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.training.config import TrainConfig
from samzoo.training.data.embedding_cache import EmbeddingCache
from samzoo.training.data.reading import (
    Crop,
    CropSampler,
    Sample,
    jitter_intensity,
    training_objects,
)
from samzoo.training.networks.acting import dropout_acting, statistics_learned, statistics_of
from samzoo.training.networks.sam import Sam

from .objectives import (
    InteractiveSettings,
    background_loss,
    distance_loss,
    interactive_step,
)


class Learner:
    """A model in training, with its optimiser.

    Args:
        fabric: Puts the model on its device and chooses the precision.
        sam: From ``finetunable``.
        samples: Images to learn from.
        config: The run's settings.
        rng: Source of all random choices.
        fresh_ais_decoder: True if the AIS decoder's BatchNorm layers have yet to learn their
            statistics.

    Attributes:
        weights: The trained parameters and the statistics that are learned, by name.
        optimizer: AdamW, with the AIS decoder's weights in a group of their own.
    """

    def __init__(
        self,
        fabric: Fabric,
        sam: Sam,
        samples: Sequence[Sample],
        *,
        config: TrainConfig,
        rng: np.random.Generator,
        fresh_ais_decoder: bool = False,
    ) -> None:
        self._fabric, self._sam = fabric, sam
        self._config, self._rng = config, rng
        self._settings = InteractiveSettings(
            config.n_sub_iteration,
            config.mask_prob,
            config.box_distortion_factor,
            config.learned_rounds,
        )
        self._first_prompts_only = dataclasses.replace(self._settings, n_sub_iteration=1)
        self.weights: dict[str, Tensor] = {
            n: p for n, p in sam.named_parameters() if p.requires_grad
        }
        optimizer = torch.optim.AdamW(
            [
                {"params": group, "lr": rate, "initial_lr": rate}
                for group, rate in (
                    (self._parameters(ais=False), config.learning_rate),
                    (self._parameters(ais=True), config.ais_learning_rate),
                )
                if group
            ],
            weight_decay=config.weight_decay,
        )
        fabric.to_device(sam)
        # The model is not wrapped: Fabric's wrapper lets nothing but ``forward`` run in the run's
        # precision. Each call of a network asks for it here, as validation does.
        self.optimizer: Any = fabric.setup_optimizers(optimizer)
        self._learn_statistics = fresh_ais_decoder
        if fresh_ais_decoder and sam.ais_decoder is not None:
            # Now that they are on their device.
            self.weights |= statistics_of(sam.ais_decoder, AIS_DECODER_PREFIX)
        self._sampler = CropSampler(
            samples,
            side=sam.config.image_size,
            augmentation=config.augmentation,
            rng=rng,
            negatives=sam.ais_decoder is not None,
        )
        self._cache: EmbeddingCache | None = None

    def freeze_encoder(self, folder: Path, identity: str) -> None:
        """From now on train only the decoders, on embeddings that are computed once.

        Args:
            folder: Folder for the embeddings.
            identity: Identity of all that the embeddings depend on.
        """
        self._sampler.fixed = True
        self._cache = EmbeddingCache(folder, identity, self._encode)

    def step(self, index: int, learning_rate_factor: float, *, corrections: bool = True) -> float:
        """Draw a crop and learn from it.

        Args:
            index: Number of steps done before. Even steps start with a point, odd ones with a box.
            learning_rate_factor: Multiplies the learning rates.
            corrections: Whether corrections follow the first prompt.

        Returns:
            The loss.

        Raises:
            InputError: The loss is not finite; the weights are unchanged.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * learning_rate_factor
        crop = self._sampler.draw()
        objects = training_objects(crop.labels)
        count = min(self._config.n_objects, len(objects))
        ids = [int(i) for i in self._rng.choice(objects, size=count, replace=False)]
        embeddings = self._embed(crop)
        # Gradients of both objectives and all their rounds end at a leaf; the encoder's backward
        # pass runs once.
        leaf = embeddings.detach().requires_grad_(self._cache is None)
        loss = 0.0
        if ids:  # none in a crop of an image without objects
            loss = interactive_step(
                self._sam,
                leaf,
                crop.labels,
                ids,
                self._settings if corrections else self._first_prompts_only,
                start_with_box=bool(index % 2),
                rng=self._rng,
                backward=self._fabric.backward,
                autocast=self._fabric.autocast,
            )
        if self._sam.ais_decoder is not None:
            ais_loss = self._ais_loss(leaf, crop)
            self._fabric.backward(ais_loss)
            loss += float(ais_loss.detach())
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} at step {index}; the last checkpoint is kept. "
                "Try a smaller learning_rate"
            )
        if leaf.grad is not None:
            torch.autograd.backward(embeddings, leaf.grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _embed(self, crop: Crop) -> Tensor:
        if self._cache is not None:
            return self._fabric.to_device(self._cache(crop))
        image = jitter_intensity(crop.image, self._config.intensity_jitter, self._rng)
        return self._encode(dataclasses.replace(crop, image=image))

    def _encode(self, crop: Crop) -> Tensor:
        image = torch.from_numpy(np.ascontiguousarray(crop.image.transpose(2, 0, 1)))[None]
        frozen = self._cache is not None
        with (
            torch.no_grad() if frozen else dropout_acting(self._sam.image_encoder),
            self._fabric.autocast(),
        ):
            embeddings = self._sam.embed(self._fabric.to_device(image))
        return embeddings.float()  # the decoders, too, begin from float32, as in validation

    def _ais_loss(self, embeddings: Tensor, crop: Crop) -> Tensor:
        decoder: Any = self._sam.ais_decoder
        with (
            self._fabric.autocast(),
            statistics_learned(decoder) if self._learn_statistics else nullcontext(),
        ):
            maps: Tensor = decoder(embeddings)
        side = self._sam.config.image_size
        if maps.shape[-1] != side:
            maps = torch.nn.functional.interpolate(
                maps, size=(side, side), mode="bilinear", align_corners=False
            )
        height, width = crop.labels.shape
        target = torch.from_numpy(np.ascontiguousarray(crop.targets))[None]
        ignored = torch.from_numpy(crop.labels == IGNORED)
        known = (~ignored)[None, None].to(maps.device) if ignored.any() else None
        maps = maps[..., :height, :width].float()
        if not (crop.labels > 0).any():
            return background_loss(maps, known)
        return distance_loss(maps, target.to(maps.device), known)

    def _parameters(self, *, ais: bool) -> list[Tensor]:
        return [p for n, p in self.weights.items() if n.startswith(AIS_DECODER_PREFIX) == ais]
