"""One training step: some crops, one encoder pass a batch, both objectives, one optimiser step.

In: the model, and the samples from which crops are drawn. Out: changed weights, and the step's
loss.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from samzoo.runtime.errors import InputError
from samzoo.runtime.formats.arrays import Array, Float4D
from samzoo.runtime.formats.prefixes import AIS_DECODER_PREFIX
from samzoo.runtime.images.label_arrays import IGNORED
from samzoo.training.config import TrainConfig
from samzoo.training.data.augmentation import augmented
from samzoo.training.data.crops import Crop, CropSampler, training_objects
from samzoo.training.data.prefix_cache import PrefixCache
from samzoo.training.data.samples import ScaledImage
from samzoo.training.encoders.steps import frozen_steps, run_steps
from samzoo.training.networks.acting import dropout_acting, statistics_learned, statistics_of
from samzoo.training.networks.sam import Sam

from .devices import mean_over_devices, share_gradients
from .objectives import background_loss, distance_loss, interactive_step
from .simulated_prompts import InteractiveSettings

SHADE = 1
"""Seed of the intensities of fixed crops, beside their keys."""


@dataclasses.dataclass(frozen=True)
class _Task:
    """A crop, the objects to learn from, and the source of the prompts' random choices."""

    crop: Crop
    ids: list[int]
    rng: np.random.Generator


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
        statistics_known: True if an earlier run has learned them, so that they stay. They are kept
            with the weights.

    Attributes:
        weights: The trained parameters and the statistics that are learned, by name.
        optimizer: AdamW, with the AIS decoder's weights in a group of their own.
    """

    def __init__(
        self,
        fabric: Fabric,
        sam: Sam,
        samples: Sequence[ScaledImage],
        *,
        config: TrainConfig,
        rng: np.random.Generator,
        fresh_ais_decoder: bool = False,
        statistics_known: bool = False,
    ) -> None:
        self._fabric, self._sam = fabric, sam
        self._config, self._rng = config, rng
        self._settings = InteractiveSettings(
            config.n_sub_iteration,
            config.mask_prob,
            config.box_distortion_factor,
            config.learned_rounds,
            config.first_points,
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
        self._learn_statistics = fresh_ais_decoder and not statistics_known
        if fresh_ais_decoder and sam.ais_decoder is not None:
            # Now that they are on their device.
            self.weights |= statistics_of(sam.ais_decoder, AIS_DECODER_PREFIX)
        self._sampler = CropSampler(
            samples,
            side=sam.config.image_size,
            augmentation=config.augmentation,
            rng=rng,
            negatives=sam.ais_decoder is not None,
            seed=config.seed,
            scale_jitter=config.scale_jitter,
        )
        self._steps = sam.encoder_steps()
        self._frozen = frozen_steps(self._steps)
        self._cache: PrefixCache | None = None

    def freeze_encoder(self) -> None:
        """From now on train only the decoders."""
        self._frozen = len(self._steps)

    def use_cache(self, cache: PrefixCache) -> None:
        """From now on draw from a fixed set of crops, and compute the frozen steps once for each.

        Args:
            cache: For what comes out of the frozen steps; its identity says how they were made.
        """
        self._sampler.fix(self._config.cached_crops)
        self._cache = cache

    def step(self, index: int, learning_rate_factor: float, *, corrections: bool = True) -> float:
        """Draw crops and learn from them: ``accumulate`` times ``batch_size`` on each device.

        The gradient is the mean over all crops, and each crop has random numbers of its own, so
        that neither number changes what is learned from the same crops, nor does the number of
        devices.

        Args:
            index: Number of steps done before. Even steps start with a point, odd ones with a box.
            learning_rate_factor: Multiplies the learning rates.
            corrections: Whether corrections follow the first prompt.

        Returns:
            The mean loss.

        Raises:
            InputError: The loss is not finite; the weights are unchanged.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * learning_rate_factor
        sources = self._sources()
        size = self._config.batch_size
        settings = self._settings if corrections else self._first_prompts_only
        loss = 0.0
        for first in range(0, len(sources), size):
            batch = [self._draw(rng) for rng in sources[first : first + size]]
            loss += self._learn(batch, settings, 1 / len(sources), with_box=bool(index % 2))
        loss = float(mean_over_devices(self._fabric, torch.tensor(loss)))
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} at step {index}; the last checkpoint is kept. "
                "Try a smaller learning_rate"
            )
        share_gradients(self._fabric, self.weights.values())
        self.optimizer.step()
        self.optimizer.zero_grad()
        return loss

    def _sources(self) -> list[np.random.Generator]:
        """Return a source of random choices for each crop of this device."""
        own = self._config.batch_size * self._config.accumulate
        devices = self._fabric.world_size
        if own * devices == 1:  # as it was before there were batches
            return [self._rng]
        # All devices draw the same seeds, so that they stay in step, and use their own part.
        seeds = self._rng.integers(2**63, size=own * devices)
        start = own * self._fabric.global_rank
        return [np.random.default_rng(seed) for seed in seeds[start : start + own]]

    def _draw(self, rng: np.random.Generator) -> _Task:
        crop = self._sampler.draw(rng)
        # What is done to the intensities of a crop of a fixed set is fixed, too.
        shade = rng if self._cache is None else np.random.default_rng([SHADE, *crop.key])
        crop = augmented(crop, self._config.intensities, shade, gamma=self._config.intensity_jitter)
        objects = training_objects(crop.labels)
        count = min(self._config.n_objects, len(objects))
        ids = [int(i) for i in rng.choice(objects, size=count, replace=False)]
        return _Task(crop, ids, rng)

    def _learn(
        self, batch: Sequence[_Task], settings: InteractiveSettings, share: float, *, with_box: bool
    ) -> float:
        """Add a batch's gradients to those of the step; returns its share of the loss."""
        embeddings = self._embed(batch)
        # Gradients of both objectives and all their rounds end at a leaf; the encoder's backward
        # pass runs once.
        leaf = embeddings.detach().requires_grad_(embeddings.requires_grad)

        def backward(loss: Tensor) -> None:
            self._fabric.backward(loss * share)

        total = 0.0
        for i, task in enumerate(batch):
            if task.ids:  # none in a crop of an image without objects
                total += interactive_step(
                    self._sam,
                    leaf[i : i + 1],
                    task.crop.labels,
                    task.ids,
                    settings,
                    start_with_box=with_box,
                    rng=task.rng,
                    backward=backward,
                    autocast=self._fabric.autocast,
                )
            if self._sam.ais_decoder is not None:
                ais_loss = self._ais_loss(leaf[i : i + 1], task.crop)
                backward(ais_loss)
                total += float(ais_loss.detach())
        if leaf.grad is not None:
            torch.autograd.backward(embeddings, leaf.grad)
        return total * share

    def _embed(self, batch: Sequence[_Task]) -> Tensor:
        outputs = []
        for task in batch:
            name = "_".join(str(number) for number in task.crop.key)
            outputs.append(self._frozen_output(task.crop.image, name))
        with dropout_acting(self._sam.image_encoder):
            return self._trained_output(torch.cat(outputs) if len(outputs) > 1 else outputs[0])

    def encode_known(self, image: Array) -> Float4D:
        """Compute image embeddings of an image that comes again, as those of validation do.

        Args:
            image: ``(height, width, 3)`` in 0..255, both sides at most ``image_size``.

        Returns:
            ``(1, 256, grid, grid)`` float32.
        """
        pixels = np.ascontiguousarray(image, np.float32)
        digest = hashlib.sha256(pixels.tobytes() + str(pixels.shape).encode()).hexdigest()
        with torch.no_grad():
            x = self._trained_output(self._frozen_output(pixels, digest))
        embeddings: Float4D = x.cpu().numpy()
        return embeddings

    def _frozen_output(self, image: Array, name: str) -> Tensor:
        """Compute the steps that do not train, or find what the cache has by a name."""

        def compute() -> Tensor:
            channels_first = np.ascontiguousarray(image.transpose(2, 0, 1))
            pixels = self._fabric.to_device(torch.from_numpy(channels_first)[None])
            with torch.no_grad(), self._fabric.autocast():
                return run_steps(self._steps[: self._frozen], self._sam.preprocess(pixels))

        if self._cache is None:
            return compute()
        return self._fabric.to_device(self._cache(name, compute))

    def _trained_output(self, x: Tensor) -> Tensor:
        with self._fabric.autocast():
            # The decoders begin from float32, as in validation.
            steps = self._steps[self._frozen :]
            recompute = self._config.recompute_blocks is True
            return run_steps(steps, x, recompute=recompute).float()

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
