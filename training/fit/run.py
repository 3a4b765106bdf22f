"""The state of a training run: what is trained, how far it has come, and its files.

In: what ``train`` was given. Out: checkpoints, the log, and the adapter folder.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric

from samzoo.runtime.automatic.doubts import describe_training
from samzoo.runtime.engine.networks import RememberedEncoder
from samzoo.runtime.engine.object_scale import at_scale
from samzoo.runtime.errors import InputError, StorageError
from samzoo.runtime.formats.adapter import AdapterConfig, adapter_tensors, write_adapter
from samzoo.runtime.formats.arrays import Progress
from samzoo.runtime.formats.config import IMAGES, AisParameters, ModelConfig, Preprocessing
from samzoo.runtime.formats.digest import weights_digest
from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.runtime.formats.folders import CONFIG_FILE
from samzoo.runtime.formats.outputs import replacing
from samzoo.runtime.formats.prefixes import ENCODER_PREFIX
from samzoo.runtime.model import Model
from samzoo.training.config import TrainConfig
from samzoo.training.data.annotated import AnnotatedImage, contents, data_digest
from samzoo.training.data.object_size import at_own_scale, median_diameter
from samzoo.training.data.prefix_cache import PrefixCache, cache_identity
from samzoo.training.data.regions import fewer_regions
from samzoo.training.data.samples import lazy_samples, scaled_size
from samzoo.training.learning.allocation import keep_freed_memory
from samzoo.training.learning.devices import fabric_for, from_first
from samzoo.training.learning.learner import Learner
from samzoo.training.learning.precision import Precision, resolved_precision
from samzoo.training.learning.preparation import finetunable
from samzoo.training.methods import get_method, mask_decoder_lora
from samzoo.training.methods.method import FROZEN_SHARE
from samzoo.training.networks.graphs import TorchNetworks
from samzoo.training.networks.sam import weights_of
from samzoo.training.planning.memory_choice import chosen_memory

from .ais_search import searched
from .average import WeightAverage
from .curves import ALL, PART, write_course
from .readiness import CACHE, LAST, PREVIOUS
from .resumption import images_used, refuse_changes, stored_settings
from .schedule import History, fraction_done, learning_rate_factor
from .state import load_state, read_progress, save_state
from .validation import judged, possible_tasks, validate
from .validation_part import after_an_epoch, is_partial
from .warm_start import START, Beginning, begin_from
from .worst import write_worst

BEST, LOG = "checkpoints/best.safetensors", "log.jsonl"


class Run:
    """The state of one run; a run that is saved after any whole step can be resumed exactly."""

    def __init__(
        self,
        base: Path,
        train_data: Sequence[AnnotatedImage],
        val_data: Sequence[AnnotatedImage],
        method: str,
        config: TrainConfig,
        output: Path,
        *,
        precision: Precision | None = None,
        devices: int = 1,
        begin: Beginning | None = None,
    ) -> None:
        self.method, row = method, get_method(method)
        settings = row.settings(config.hyperparameters, where="config")
        self.config, self.output, self.base = config, output, base
        self.tasks = possible_tasks(config)
        shown, chosen_on = contents(train_data), contents(val_data)
        self.begin, seen = begin, begin.seen if begin is not None else ()
        self.contents = {
            "training": sorted({a.content for a in train_data} | set(shown) | set(seen)),
            "validation": sorted({a.content for a in val_data} | set(chosen_on)),
        }
        self.val_data = val_data
        self.partial = is_partial(val_data, config)
        self.images_used = images_used(train_data, val_data)
        self.source: dict[str, Any] = {}
        self.progress: Progress | None = None
        self.precision = precision or resolved_precision(config.precision, Fabric(devices=1).device)
        self.fabric = fabric_for(devices, self.precision)
        self.leads = self.fabric.global_rank == 0
        memory = chosen_memory(
            ModelConfig.read(base / CONFIG_FILE),
            method,
            config,
            precision=self.precision,
            processes=devices,
        )
        self.told = list(memory.sentences)
        if self.fabric.device.type == "cpu" and memory.keep_freed:
            keep_freed_memory()
        torch.manual_seed(config.seed)
        self.rng = np.random.default_rng(config.seed)
        self.base_config, self.sam = finetunable(
            base, row, settings, config, train_data, self.precision
        )
        if begin is not None and begin.folder is not None:
            begin_from(self.sam, begin.folder)
        self.method_settings = row.resolved(settings, self.base_config.architecture)
        preprocessing = self.sam.config.preprocessing
        image_size = self.sam.config.image_size
        self.preprocessings = [self._preprocessing(a) for a in train_data]
        samples = lazy_samples(train_data, self.preprocessings, image_size)
        self.data_digest = data_digest(train_data)
        self.val_data_digest = data_digest(val_data)
        factors = [
            scaled_size(a.size, preprocessing.scale, image_size)[0] / a.size[0] for a in train_data
        ]
        self.images = describe_training(
            (a.image for a in fewer_regions(train_data)),
            object_diameter=preprocessing.object_diameter
            or median_diameter(train_data) * float(np.median(factors)),
        )
        self.learner = Learner(
            self.fabric,
            self.sam,
            samples,
            config=replace(config, recompute_blocks=memory.recompute),
            rng=self.rng,
            fresh_ais_decoder=self.base_config.architecture.ais_decoder is None,
            statistics_known=begin is not None,
        )
        self.average = WeightAverage(self.learner.weights, config.ema_decay)
        self.history = History()
        self._cached = False
        share = row.frozen_share(self.method_settings, self.base_config.architecture)
        if row.frozen:
            self._freeze_encoder()
        elif share >= FROZEN_SHARE:
            self._use_cache()

    def step(self) -> None:
        """Take one training step."""
        history = self.history
        # A run that was made longer does not go back.
        if corrections := (
            history.corrected
            or fraction_done(self.config, history) >= self.config.corrections_after
        ):
            history.begin_corrections()
        if fraction_done(self.config, history) >= self.config.freeze_encoder_after:
            self._freeze_encoder()
        factor = learning_rate_factor(self.config, history)
        loss = self.learner.step(history.step, factor, corrections=corrections)
        history.step += 1
        history.losses = (*history.losses, loss)
        self.average.update(history.step)

    def _freeze_encoder(self) -> None:
        """Freeze the encoder, once, so that validation uses the encoder that the decoders see."""
        if self.history.encoder_frozen:
            return
        self.average.settle(ENCODER_PREFIX)
        self.history.encoder_frozen = True
        self.learner.freeze_encoder()
        self._use_cache()

    def _use_cache(self) -> None:
        if not self.config.cached_crops:
            return
        trained = {
            name: value.detach().cpu().numpy()
            for name, value in self.learner.weights.items()
            if name.startswith(ENCODER_PREFIX)
        }
        frozen = self.history.encoder_frozen
        identity = cache_identity({
            # With late methods the trained weights come after what is cached.
            "trained": weights_digest(trained) if frozen else "",
            "base": self.base_config.weights_digest,
            "method": (self.method, to_json(self.method_settings)),
            "data": self.data_digest,
            "scales": [preprocessing.scale for preprocessing in self.preprocessings],
            "preprocessing": self.sam.config.preprocessing,
            "precision": self.precision,
            "jitter": self.config.intensity_jitter,
            "intensities": self.config.intensities,
        })  # fmt: skip
        self.learner.use_cache(PrefixCache(self.output / CACHE, identity))
        self._cached = True

    def validate(self) -> dict[str, float]:
        """Score the weights, or their average if there is one, as after each epoch.

        The first of several devices computes them, and all get them.

        Raises:
            InputError: A weight is not finite.
        """
        self._check_weights()
        return from_first(self.fabric, self._scores() if self.leads else {})

    def agreed(self, seconds: float) -> float:
        """Return the first device's time, so that all stop together."""
        return from_first(self.fabric, seconds)

    def _scores(self) -> dict[str, float]:
        with self.average.in_place():
            return validate(
                partial(self._model, cached=True),
                after_an_epoch(self.val_data, self.config),
                self.tasks,
                self.config,
                most_prompted=self.config.validation_objects,
            )

    def end_epoch(self, scores: dict[str, float]) -> None:
        """Count and log an epoch, and keep its weights if they are the best."""
        history, loss = self.history, self.history.loss
        if not self.leads:
            history.end_epoch(scores)
            return
        if history.is_better(scores):
            save_state(
                self.output / BEST,
                weights=self.average.best_weights(),
                average={},
                optimizer=self.learner.optimizer,
                rng=self.rng,
                progress={"scores": scores},
            )
            history.end_epoch(scores)
            with self.average.in_place():
                self._write_adapter(self.config.ais, scores, finished=False)
        else:
            history.end_epoch(scores)
        self._log({
            "epoch": history.epoch,
            "step": history.step,
            "loss": loss,
            "seconds": history.seconds,
            "learning_rate": self.learner.optimizer.param_groups[0]["lr"],
            "validated": PART if self.partial else ALL,
            **scores,
        })  # fmt: skip

    def _log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the log, and draw the course anew."""
        try:
            with (self.output / LOG).open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise StorageError(
                f"{self.output / LOG}: cannot be written ({error.strerror or error})"
            ) from error
        write_course(self.output / LOG)

    def _preprocessing(self, annotated: AnnotatedImage) -> Preprocessing:
        """Return the preprocessing of an image, at its own scale if that is wanted."""
        common = self.sam.config.preprocessing
        if not self.config.scale_by_image:
            return common
        return at_own_scale(annotated, common, image_size=self.sam.config.image_size)

    def _model(
        self, annotated: AnnotatedImage, *, ais: AisParameters | None = None, cached: bool = False
    ) -> Model:
        """Return the model as it sees an image."""
        networks = TorchNetworks(
            self.sam,
            autocast=self.fabric.autocast,
            encode=self.learner.encode_known if cached and self._cached else None,
        )
        config = self.sam.config if ais is None else replace(self.sam.config, ais=ais)
        config = at_scale(config, self._preprocessing(annotated).scale)
        return Model(config, RememberedEncoder(networks))

    # -- files ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the last checkpoint, and keep the one before it."""
        self._check_weights()
        if not self.leads:
            return
        last, previous = self.output / LAST, self.output / PREVIOUS
        if last.is_file():
            with suppress(OSError), replacing(previous) as temporary:  # a spare: not worth an end
                temporary.unlink()
                os.link(last, temporary)
        save_state(
            self.output / LAST,
            weights=self.learner.weights,
            average=self.average.values,
            optimizer=self.learner.optimizer,
            rng=self.rng,
            progress={
                **asdict(self.history),
                "settings": self._all_settings(),
            },
        )

    def load(self, path: Path) -> None:
        """Go back to a checkpoint, the last one or that before.

        Raises:
            InputError: The checkpoint has other settings, data or another base, or is damaged.
        """
        refuse_changes(path, self._all_settings(), stored_settings(path))
        progress = read_progress(path)
        del progress["settings"]
        history = from_json(History, progress, where=str(path))
        load_state(
            path,
            weights=self.learner.weights,
            average=self.average.values,
            optimizer=self.learner.optimizer,
            rng=self.rng,
        )
        self.history = history
        if history.encoder_frozen:
            self.learner.freeze_encoder()
            self._use_cache()

    def finish(self) -> dict[str, float]:
        """Search the AIS thresholds of the best checkpoint and write the adapter."""
        load_state(
            self.output / BEST,
            weights=self.learner.weights,
            average={},
            optimizer=self.learner.optimizer,
            rng=self.rng,
        )
        ais, best = self.config.ais, dict(self.history.best)
        if self.config.search_ais and self.config.ais_decoder is not None:
            ais, best["ais"] = searched(
                self._model,
                self.val_data,
                self.config,
                scale=self.sam.config.preprocessing.scale,
                folder=self.output / CACHE,
                progress=self.progress,
            )
        if self.partial:
            model_of = partial(self._model, ais=ais, cached=True)
            scores = validate(
                model_of, self.val_data, self.tasks, self.config, progress=self.progress
            )
            self._log({"epoch": self.history.best_epoch, "validated": ALL, **scores})
            best |= scores
        self._write_adapter(ais, best, finished=True)
        task = self.tasks[0]
        found = judged(partial(self._model, ais=ais, cached=True), self.val_data, task, self.config)
        write_worst(self.output, found, task=task)
        shutil.rmtree(self.output / CACHE, ignore_errors=True)
        return best

    def _write_adapter(
        self, ais: AisParameters, scores: Mapping[str, float], *, finished: bool
    ) -> None:
        """Write the adapter of the model's present weights."""
        config = AdapterConfig(
            method=self.method,
            hyperparameters=to_json(self.method_settings),
            base_digest=self.base_config.weights_digest,
            base_path=str(self.base),
            architecture=self.sam.config.architecture,
            preprocessing=self.sam.config.preprocessing,
            ais=ais,
            source={
                "base": self.base_config.source,
                "training": {
                    **self._settings(),
                    IMAGES: self.images,
                    "steps": self.history.step,
                    "seconds": round(self.history.seconds, 1),
                    "seconds_a_step": round(self.history.step_seconds / self.history.step, 4),
                    "validation": dict(scores),
                    "finished": finished,
                    "contents": {
                        role: [each for each in found if each]
                        for role, found in self.contents.items()
                    },
                },
                **self.source,
            },
        )
        delta = {name for name in self.learner.weights if name.startswith(ENCODER_PREFIX)}
        state = mask_decoder_lora.fold(weights_of(self.sam), self.method_settings)
        kept = get_method(self.method).kept
        delta |= {name for name in state if name.rpartition(".")[2] in kept}
        write_adapter(self.output, config, adapter_tensors(state, delta))

    def _check_weights(self) -> None:
        """Refuse to continue with, or to save, weights that no later step can repair."""
        for name, value in self.learner.weights.items():
            if not torch.isfinite(value).all():
                raise InputError(
                    f"the weights became NaN or infinite by step {self.history.step} ({name}); "
                    "the last checkpoint is kept. Try a smaller learning_rate"
                )

    def _all_settings(self) -> dict[str, Any]:
        """Return what a checkpoint holds: beside the settings, the images of now and before."""
        begun = self.begin.settings() if self.begin is not None else {}
        return {**self._settings(), **begun, "images": self.images_used}

    def _settings(self) -> dict[str, Any]:
        return {
            **({START: asdict(self.begin.start)} if self.begin is not None else {}),
            "method": self.method,
            "base_digest": self.base_config.weights_digest,
            "data_digest": self.data_digest,
            "val_data_digest": self.val_data_digest,
            "config": to_json(self.config),
            "precision": self.precision,
            "devices": self.fabric.world_size,
        }
