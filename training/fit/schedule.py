"""The schedule of a run: how far it has come, how fast it learns, and when it stops.

In: a run's settings and its history. Out: learning rates, progress, and whether to stop.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from samzoo.training.config import TrainConfig

PLATEAU_FACTOR, PLATEAU_PATIENCE = 0.9, 3
"""Factor on the learning rate after this many epochs without progress. Source: micro-sam 1.8.14,
``train_sam``."""

COSINE_FLOOR = 0.01
"""Fraction of the learning rate at which the cosine ends (own choice)."""


@dataclass
class History:
    """The history of a run, which its checkpoints store.

    Attributes:
        step: Steps done.
        epoch: Epochs done, validation included.
        seconds: Time spent, over all resumed sessions.
        step_seconds: The part of it that steps took.
        best: Validation scores of the best checkpoint; empty before there is one.
        best_epoch: The epoch of the best checkpoint, from 1.
        corrected: Whether corrections have begun; see ``corrections_after``.
        encoder_frozen: Whether the encoder has stopped learning; see ``freeze_encoder_after``.
        last_score: Validation score of the last epoch.
        bad_epochs: Epochs since the best one.
        plateau_epochs: Epochs since the best one or since the learning rate fell.
        plateau_factor: Factor on the learning rate after all plateaus so far.
        losses: Losses of the steps since the last validation.
    """

    step: int = 0
    epoch: int = 0
    seconds: float = 0.0
    step_seconds: float = 0.0
    best: dict[str, float] = field(default_factory=dict)
    best_epoch: int = 0
    corrected: bool = False
    encoder_frozen: bool = False
    last_score: float | None = None
    bad_epochs: int = 0
    plateau_epochs: int = 0
    plateau_factor: float = 1.0
    losses: tuple[float, ...] = ()

    @property
    def loss(self) -> float:
        """Mean loss since the last validation; NaN before the first step."""
        return float(np.mean(self.losses)) if self.losses else math.nan

    def begin_corrections(self) -> None:
        """Forget the best checkpoint, once, because it has not been trained with corrections."""
        if not self.corrected:
            self.corrected, self.best = True, {}

    def is_better(self, scores: Mapping[str, float]) -> bool:
        """Tell whether validation scores beat the best ones so far."""
        return not self.best or scores["score"] > self.best["score"]

    def end_epoch(self, scores: Mapping[str, float]) -> None:
        """Count an epoch with its validation scores."""
        better = self.is_better(scores)
        if better:
            self.best, self.best_epoch = dict(scores), self.epoch + 1
        self.last_score = scores["score"]
        self.bad_epochs = 0 if better else self.bad_epochs + 1
        self.plateau_epochs = 0 if better else self.plateau_epochs + 1
        if self.plateau_epochs > PLATEAU_PATIENCE:
            self.plateau_epochs, self.plateau_factor = 0, self.plateau_factor * PLATEAU_FACTOR
        self.epoch += 1
        self.losses = ()


@dataclass(frozen=True)
class Status:
    """The numbers that a progress bar shows.

    Attributes:
        step: Steps done.
        total: Steps planned.
        loss: Mean loss of the current epoch.
        score: Validation score of the last epoch; None before the first.
        best: Best score so far; None before the first, and again when corrections begin.
        seconds_left: Estimated seconds until the end; 0 while unknown.
        epoch: The epoch that is being trained, from 1.
        epochs: Epochs planned.
        best_epoch: The epoch of the best score; 0 without one.
    """

    step: int
    total: int
    loss: float
    score: float | None
    best: float | None
    seconds_left: float
    epoch: int = 1
    epochs: int = 1
    best_epoch: int = 0


class Stopped(KeyboardInterrupt):
    """An interrupt that left a run which can go on.

    Args:
        status: How far the run has come.

    Attributes:
        status: How far the run has come.
    """

    def __init__(self, status: Status) -> None:
        super().__init__()
        self.status = status


def total_steps(config: TrainConfig) -> int:
    """Return the most steps that a run takes."""
    return config.epochs * config.steps_per_epoch


def fraction_done(config: TrainConfig, history: History) -> float:
    """Return the fraction of steps, or of time, that is used; above 1 when time is over."""
    done = history.step / total_steps(config)
    if config.max_minutes:
        done = max(done, history.seconds / (60 * config.max_minutes))
    return done


def learning_rate_factor(config: TrainConfig, history: History) -> float:
    """Return the factor on the learning rates in the next step."""
    if config.scheduler == "plateau":
        return history.plateau_factor
    cosine = 0.5 * (1 + math.cos(math.pi * min(fraction_done(config, history), 1.0)))
    return COSINE_FLOOR + (1 - COSINE_FLOOR) * cosine


def out_of_time(config: TrainConfig, history: History) -> bool:
    """Tell whether ``max_minutes`` are over."""
    return bool(config.max_minutes) and history.seconds >= config.max_minutes * 60


def finished(config: TrainConfig, history: History) -> bool:
    """Tell whether epochs, time or patience are used up and there is a best checkpoint."""
    if not history.best:
        return False
    impatient = bool(config.early_stopping) and history.bad_epochs >= config.early_stopping
    return history.epoch >= config.epochs or impatient or out_of_time(config, history)


def status(config: TrainConfig, history: History) -> Status:
    """Summarize a run for a progress bar."""
    done = fraction_done(config, history)
    return Status(
        step=history.step,
        total=total_steps(config),
        loss=history.loss,
        score=history.last_score,
        best=history.best.get("score"),
        seconds_left=history.seconds * (1 - done) / done if done else 0.0,
        epoch=min(history.epoch + 1, config.epochs),
        epochs=config.epochs,
        best_epoch=history.best_epoch if history.best else 0,
    )


def doubts(config: TrainConfig, history: History, scores: Mapping[str, float]) -> list[str]:
    """Say in sentences what a person should know of a run that has ended.

    Args:
        config: The run's settings.
        history: The run's history.
        scores: Its validation scores by task, and ``score``, their mean.
    """
    found = []
    if out_of_time(config, history) and history.step < total_steps(config):
        found.append(
            f"training was cut short: max_minutes ({config.max_minutes:g}) were over after "
            f"{history.step} of {total_steps(config)} steps; go on with --resume and more time"
        )
    tasks = {task: score for task, score in scores.items() if task != "score"}
    zero = [task for task, score in tasks.items() if score == 0]
    if zero:
        what = "the validation score is 0" if len(zero) == len(tasks) else "validation scores of 0"
        found.append(
            f"{what} ({', '.join(zero)}): not one object of the validation images was segmented "
            "well enough to count, so this model is of no use for that. Train for more epochs, and "
            "check the label images and the size of the objects (object_diameter)"
        )
    return found
