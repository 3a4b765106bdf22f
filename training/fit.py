"""The training loop: one base, a few annotated images, one adapter.

In: a base folder, annotated images, a method, a ``TrainConfig``. Out: an adapter folder, with a log
and checkpoints beside it. Called by the ``train`` verb and by the script of the default model.
"""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from samzoo.runtime.config import ModelConfig, to_json
from samzoo.runtime.digest import weights_digest
from samzoo.runtime.errors import InputError, NotFoundError, OutputExistsError
from samzoo.runtime.evaluation import check_tasks, evaluate_image
from samzoo.runtime.model import Model
from samzoo.runtime.networks import RememberedEncoder

from .adapter import AdapterConfig, adapter_tensors, write_adapter
from .config import TrainConfig
from .data import Annotated, Crop, CropSampler, jitter_intensity, prepare, training_objects
from .embedding_cache import EmbeddingCache
from .graphs import TorchNetworks
from .memory import keep_freed_memory
from .methods import Method, get_method
from .objectives import InteractiveSettings, distance_loss, interactive_step
from .sam import Sam, load_sam, weights_of
from .state import load_state, save_state
from .thresholds import search_thresholds

LAST, BEST, LOG = "checkpoints/last.safetensors", "checkpoints/best.safetensors", "log.jsonl"

PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.9, 3
"""Source: micro-sam 1.8.14, ``train_sam``."""

COSINE_FLOOR = 0.01
EMA_WARMUP = 10
"""The average starts short: decay is at most ``(1 + step) / (10 + step)`` (own choice)."""


@dataclass(frozen=True)
class Status:
    """What a progress bar shows.

    Attributes:
        step: Steps done.
        total: Steps planned.
        loss: Mean loss of the current epoch.
        score: Validation score of the last epoch; None before the first.
        best: Best score so far.
        seconds_left: Estimate; 0 while unknown.
    """

    step: int
    total: int
    loss: float
    score: float | None
    best: float | None
    seconds_left: float


Report = Callable[[Status], None]


def train(
    *,
    base: Path,
    train_data: Sequence[Annotated],
    val_data: Sequence[Annotated],
    method: str,
    config: TrainConfig,
    output: Path,
    resume: bool = False,
    source: dict[str, Any] | None = None,
    report: Report | None = None,
) -> dict[str, float]:
    """Finetune a base on annotated images and write an adapter.

    Interrupted (KeyboardInterrupt), it saves the state after the last whole step and raises on;
    ``resume=True`` goes on from there.

    Args:
        base: Folder with ``config.json`` and ``model.safetensors``.
        train_data: Images to learn from.
        val_data: Images that choose the best checkpoint and the AIS thresholds.
        method: Name in ``samzoo.training.methods.METHODS``.
        config: The run's settings.
        output: Folder of the run; becomes the adapter folder.
        resume: Go on with the run in ``output``.
        source: Provenance to write into the adapter besides what is known here.
        report: Called after every step.

    Returns:
        Validation scores of the best checkpoint: mSA by task, and ``score``, their mean.

    Raises:
        OutputExistsError: ``output`` holds a run and ``resume`` is false.
        NotFoundError: There is nothing to resume, or the base is missing.
        InputError: Data, settings or base cannot be used, or the loss is not finite.
        StorageError: A checkpoint cannot be written; the last good one stays.
    """
    if output.exists() and not resume:
        raise OutputExistsError(f"{output}: exists already; resume it or choose another folder")
    if resume and not (output / LAST).is_file():
        raise NotFoundError(f"{output / LAST}: no such file; there is no run to resume")
    run = _Run(base, train_data, val_data, method, config, output)
    if resume:
        run.load()
    try:
        run.fit(report)
    except KeyboardInterrupt:
        run.save()
        raise
    return run.finish(source or {})


class _Run:
    """State of one run. Invariant: ``save`` after any whole step can be resumed exactly."""

    def __init__(
        self,
        base: Path,
        train_data: Sequence[Annotated],
        val_data: Sequence[Annotated],
        method: str,
        config: TrainConfig,
        output: Path,
    ) -> None:
        self.method_name, self.method = method, get_method(method)
        self.hyperparameters = self.method.hyperparameters(config.hyperparameters)
        self.config, self.output, self.base = config, output, base
        self._tasks = _possible_tasks(config)
        self.fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)
        if self.fabric.device.type == "cpu":
            keep_freed_memory()
        torch.manual_seed(config.seed)
        self.rng = np.random.default_rng(config.seed)
        self.base_config, self.sam = _finetunable(
            base, self.method, self.hyperparameters, config
        )
        self.weights = {n: p for n, p in self.sam.named_parameters() if p.requires_grad}
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
        self.wrapped, self.optimizer = self.fabric.setup(self.sam, optimizer)
        for name in ("embed", "decode"):
            self.wrapped.mark_forward_method(name)
        self.average = (
            {n: p.detach().clone() for n, p in self.weights.items()} if config.ema_decay else {}
        )
        samples = [
            prepare(a, self.sam.config.preprocessing, self.sam.config.image_size)
            for a in train_data
        ]
        self.sampler = CropSampler(
            samples,
            side=self.sam.config.image_size,
            augmentation=config.augmentation,
            fixed=self.method.frozen,
            rng=self.rng,
        )
        self.val_data = val_data
        identity = weights_digest(
            {f"{i}/{key}": value for i, s in enumerate(samples)
             for key, value in (("image", s.image), ("labels", s.labels))}
        )  # fmt: skip
        self.data_digest = identity
        self._cache = EmbeddingCache(
            output / "embeddings",
            weights_digest({"id": np.frombuffer((self.base_config.weights_digest + identity
                                                 + str(self.sam.config.preprocessing)).encode(),
                                                np.uint8)}),
            self._encode,
        )  # fmt: skip
        self.step, self.epoch, self.seconds = 0, 0, 0.0
        self.best: dict[str, float] = {}
        self.last_score: float | None = None
        self.bad_epochs, self.plateau_epochs, self.plateau_factor = 0, 0, 1.0

    # -- the loop ------------------------------------------------------------------------------

    def fit(self, report: Report | None) -> None:
        """Train until the epochs, the time or the patience are over."""
        config = self.config
        total = config.epochs * config.steps_per_epoch
        self._start, before = time.monotonic(), self.seconds
        losses: list[float] = []
        while not self._finished():
            while self.step < (self.epoch + 1) * config.steps_per_epoch:
                losses.append(self._step())
                self.seconds = before + time.monotonic() - self._start
                if report is not None:
                    report(self._status(total, float(np.mean(losses))))
                if self._out_of_time():
                    break
            self._end_epoch(float(np.mean(losses)) if losses else math.nan)
            losses = []
            self.seconds = before + time.monotonic() - self._start
            self.save()

    def _finished(self) -> bool:
        config = self.config
        impatient = config.early_stopping and self.bad_epochs >= config.early_stopping
        return bool(self.epoch >= config.epochs or impatient or self._out_of_time())

    def _out_of_time(self) -> bool:
        limit = self.config.max_minutes * 60
        return bool(limit and self.seconds >= limit)

    def _step(self) -> float:
        """One crop: a shared encoder pass, both objectives, one optimiser step."""
        self._set_learning_rates()
        crop = self.sampler.draw()
        objects = training_objects(crop.labels)
        count = min(self.config.n_objects, len(objects))
        ids = [int(i) for i in self.rng.choice(objects, size=count, replace=False)]
        embeddings = self._embed(crop)
        # Both objectives and all their rounds stop at a leaf; the encoder goes back once.
        leaf = embeddings.detach().requires_grad_(not self.method.frozen)
        loss = interactive_step(
            self.wrapped,  # type: ignore[arg-type]  # Fabric's wrapper of the same Sam
            leaf,
            crop.labels,
            ids,
            InteractiveSettings(
                self.config.n_sub_iteration,
                self.config.mask_prob,
                self.config.box_distortion_factor,
            ),
            start_with_box=bool(self.step % 2),
            rng=self.rng,
            backward=self.fabric.backward,
        )
        if self.sam.ais_decoder is not None:
            ais_loss = self._ais_loss(leaf, crop)
            self.fabric.backward(ais_loss)
            loss += float(ais_loss.detach())
        if not math.isfinite(loss):
            raise InputError(
                f"the loss became {loss} at step {self.step}; the last checkpoint is kept. "
                "Try a smaller learning_rate"
            )
        if leaf.grad is not None:
            embeddings.backward(leaf.grad)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.step += 1
        self._update_average()
        return loss

    def _embed(self, crop: Crop) -> Tensor:
        if self.method.frozen:
            return self.fabric.to_device(self._cache(crop))
        image = jitter_intensity(crop.image, self.config.intensity_jitter, self.rng)
        return self._encode(dataclasses.replace(crop, image=image))

    def _encode(self, crop: Crop) -> Tensor:
        image = torch.from_numpy(np.ascontiguousarray(crop.image.transpose(2, 0, 1)))[None]
        gradients = nullcontext() if not self.method.frozen else torch.no_grad()
        with gradients:
            embeddings: Tensor = self.wrapped.embed(self.fabric.to_device(image))
        return embeddings

    def _ais_loss(self, embeddings: Tensor, crop: Crop) -> Tensor:
        with self.fabric.autocast():
            maps = self.sam.ais_decoder(embeddings)  # type: ignore[misc]  # checked by the caller
        side = self.sam.config.image_size
        if maps.shape[-1] != side:
            maps = torch.nn.functional.interpolate(
                maps, size=(side, side), mode="bilinear", align_corners=False
            )
        height, width = crop.labels.shape
        target = torch.from_numpy(np.ascontiguousarray(crop.targets))[None]
        return distance_loss(maps[..., :height, :width].float(), target.to(maps.device))

    def _set_learning_rates(self) -> None:
        config = self.config
        factor = self.plateau_factor
        if config.scheduler == "cosine":
            done = self.step / (config.epochs * config.steps_per_epoch)
            if config.max_minutes:
                done = max(done, self.seconds / (60 * config.max_minutes))
            cosine = 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))
            factor = COSINE_FLOOR + (1 - COSINE_FLOOR) * cosine
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor

    def _update_average(self) -> None:
        decay = min(self.config.ema_decay, (1 + self.step) / (EMA_WARMUP + self.step))
        with torch.no_grad():
            for name, value in self.average.items():
                value.lerp_(self.weights[name], 1 - decay)

    # -- validation ----------------------------------------------------------------------------

    def _end_epoch(self, loss: float) -> None:
        with self._averaged():
            scores = self._validate()
            self.last_score = scores["score"]
            better = not self.best or scores["score"] > self.best["score"]
            if better:
                self.best = scores
                save_state(
                    self.output / BEST,
                    weights=self.weights,
                    average={},
                    optimizer=self.optimizer,
                    rng=self.rng,
                    progress={"scores": scores},
                )
        self.bad_epochs = 0 if better else self.bad_epochs + 1
        self.plateau_epochs = 0 if better else self.plateau_epochs + 1
        if self.plateau_epochs > PLATEAU_PATIENCE:
            self.plateau_epochs, self.plateau_factor = 0, self.plateau_factor * PLATEAU_FACTOR
        self.epoch += 1
        line = {
            "epoch": self.epoch, "step": self.step, "loss": loss, "seconds": self.seconds,
            "learning_rate": self.optimizer.param_groups[0]["lr"], **scores,
        }  # fmt: skip
        with (self.output / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _validate(self) -> dict[str, float]:
        model = self._model()
        by_task: dict[str, list[float]] = {task: [] for task in self._tasks}
        for a in self.val_data:
            scores = evaluate_image(
                model,
                a.image,
                a.labels,
                tasks=self._tasks,
                seed=self.config.seed,
                min_object_size=self.config.min_object_size,
            )
            for task in self._tasks:
                by_task[task].append(scores[task]["msa"])
        means = {task: float(np.mean(values)) for task, values in by_task.items()}
        return {**means, "score": float(np.mean(list(means.values())))}

    def _model(self) -> Model:
        networks = TorchNetworks(self.sam, autocast=self.fabric.autocast)
        return Model(self.sam.config, RememberedEncoder(networks))

    def _averaged(self) -> AbstractContextManager[None]:
        return _Swapped(self.weights, self.average)

    # -- files ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the last checkpoint."""
        save_state(
            self.output / LAST,
            weights=self.weights,
            average=self.average,
            optimizer=self.optimizer,
            rng=self.rng,
            progress={
                "step": self.step, "epoch": self.epoch, "seconds": self.seconds,
                "best": self.best, "last_score": self.last_score, "bad_epochs": self.bad_epochs,
                "plateau_epochs": self.plateau_epochs, "plateau_factor": self.plateau_factor,
                "settings": self._settings(),
            },
        )  # fmt: skip

    def load(self) -> None:
        """Go back to the last checkpoint.

        Raises:
            InputError: It was made with other settings, data or base.
        """
        progress = load_state(
            self.output / LAST,
            weights=self.weights,
            average=self.average,
            optimizer=self.optimizer,
            rng=self.rng,
        )
        ours, theirs = self._settings(), progress.pop("settings")
        for key, value in ours.items():
            if theirs.get(key) != value:
                raise InputError(
                    f"{self.output / LAST}: this run was started with another {key}; resume it "
                    "with the same base, data and settings, or choose another output folder"
                )
        for key, value in progress.items():
            setattr(self, key, value)

    def finish(self, source: dict[str, Any]) -> dict[str, float]:
        """Search the AIS thresholds of the best checkpoint and write the adapter."""
        load_state(
            self.output / BEST, weights=self.weights, average={},
            optimizer=self.optimizer, rng=self.rng,
        )  # fmt: skip
        ais = self.config.ais
        if self.config.search_ais and "ais" in self._tasks:
            model = self._model()
            maps = [model.ais_maps(model.embed_tiles(a.image)) for a in self.val_data]
            ais, self.best["ais"] = search_thresholds(maps, [a.labels for a in self.val_data], ais)
        delta = {name for name in self.weights if name.startswith("image_encoder.")}
        config = AdapterConfig(
            method=self.method_name,
            hyperparameters=self.hyperparameters,
            base_digest=self.base_config.weights_digest,
            base_path=str(self.base),
            architecture=self.sam.config.architecture,
            preprocessing=self.sam.config.preprocessing,
            ais=ais,
            source={
                "base": self.base_config.source,
                "training": {
                    **self._settings(),
                    "steps": self.step,
                    "seconds": round(self.seconds, 1),
                    "validation": self.best,
                },
                **source,
            },
        )
        write_adapter(self.output, config, adapter_tensors(weights_of(self.sam), delta))
        return self.best

    def _settings(self) -> dict[str, Any]:
        return {
            "method": self.method_name,
            "base_digest": self.base_config.weights_digest,
            "data_digest": self.data_digest,
            "config": to_json(self.config),
        }

    def _parameters(self, *, ais: bool) -> list[Tensor]:
        return [p for n, p in self.weights.items() if n.startswith("ais_decoder.") == ais]

    def _status(self, total: int, loss: float) -> Status:
        done = self.step / total
        if self.config.max_minutes:
            done = max(done, self.seconds / (60 * self.config.max_minutes))
        left = self.seconds * (1 - done) / done if done else 0.0
        best = self.best.get("score")
        return Status(self.step, total, loss, self.last_score, best, left)


class _Swapped:
    """Puts the averaged weights into the model for the time of a block."""

    def __init__(self, weights: dict[str, Any], average: dict[str, Tensor]) -> None:
        self._weights, self._average = weights, average

    def __enter__(self) -> None:
        self._kept = {name: self._weights[name].detach().clone() for name in self._average}
        self._copy(self._average)

    def __exit__(self, *_: object) -> None:
        self._copy(self._kept)

    def _copy(self, values: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                self._weights[name].copy_(value)


def _possible_tasks(config: TrainConfig) -> list[str]:
    check_tasks(config.validation_tasks)
    tasks = [t for t in config.validation_tasks if t != "ais" or config.ais_decoder is not None]
    if not tasks:
        raise InputError("validation_tasks: only 'ais' is named, but ais_decoder is off")
    return tasks


def _finetunable(
    base: Path, method: Method, hyperparameters: dict[str, Any], config: TrainConfig
) -> tuple[ModelConfig, Sam]:
    """Load the base, add an AIS decoder where asked, and attach the method."""
    loaded = load_sam(base)
    base_config = loaded.config
    architecture = base_config.architecture
    fresh = architecture.ais_decoder is None or config.ais_decoder is None
    if fresh:
        architecture = dataclasses.replace(architecture, ais_decoder=config.ais_decoder)
    model_config = dataclasses.replace(
        base_config,
        architecture=architecture,
        preprocessing=config.preprocessing or base_config.preprocessing,
        ais=config.ais,
    )
    sam = Sam(model_config)
    state = {n: v for n, v in loaded.state_dict().items()
             if not (fresh and n.startswith("ais_decoder."))}  # fmt: skip
    sam.load_state_dict({**sam.state_dict(), **state})
    # Eval mode throughout: BatchNorm keeps the statistics it was published with, since batches of
    # one image have none worth learning (own choice). SAM has no dropout.
    sam.eval()
    method.attach(sam.image_encoder, architecture, hyperparameters)
    if config.precision == "bf16-mixed":
        # oneDNN's bfloat16 convolutions want this layout: 1.2 s instead of 12.8 s forward and
        # backward of TinyViT on two cores; in float32 it costs time instead.
        sam.image_encoder.to(memory_format=torch.channels_last)
    return base_config, sam
