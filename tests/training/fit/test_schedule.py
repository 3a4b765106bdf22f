"""Learning rates, patience and time, as functions of settings and history."""

import math

import pytest

from samzoo.runtime.formats.fields import from_json, to_json
from samzoo.training.config import TrainConfig
from samzoo.training.fit.schedule import (
    History,
    doubts,
    finished,
    learning_rate_factor,
    out_of_time,
    status,
)

CONFIG = TrainConfig(epochs=4, steps_per_epoch=5, early_stopping=2)


def history_of(*scores):
    history = History()
    for score in scores:
        history.end_epoch({"score": score})
    return history


def test_the_best_scores_are_kept_and_ties_do_not_count():
    history = history_of(0.2, 0.5, 0.5, 0.3)
    assert history.best == {"score": 0.5}
    assert (history.last_score, history.epoch, history.bad_epochs) == (0.3, 4, 2)


def test_losses_are_those_since_the_last_validation():
    history = History(losses=(1.0, 2.0))
    assert history.loss == 1.5
    history.end_epoch({"score": 0.0})
    assert math.isnan(history.loss)


def test_the_learning_rate_falls_after_three_epochs_without_progress():
    factors = []
    history = History()
    for score in [0.5] + 9 * [0.1] + [0.6]:
        history.end_epoch({"score": score})
        factors.append(learning_rate_factor(CONFIG, history))
    assert factors == pytest.approx(4 * [1.0] + 4 * [0.9] + 3 * [0.81])


def test_the_cosine_falls_from_1_to_a_hundredth():
    config = TrainConfig(epochs=4, steps_per_epoch=5, scheduler="cosine")
    factors = [learning_rate_factor(config, History(step=step)) for step in (0, 10, 20)]
    assert factors == pytest.approx([1.0, 0.505, 0.01])


def test_the_cosine_follows_the_time_where_it_is_limited():
    config = TrainConfig(epochs=4, steps_per_epoch=5, scheduler="cosine", max_minutes=2.0)
    factors = [learning_rate_factor(config, History(seconds=s)) for s in (0, 60, 120, 200)]
    assert factors == pytest.approx([1.0, 0.505, 0.01, 0.01])
    assert learning_rate_factor(config, History(seconds=1, step=10)) == pytest.approx(0.505)


def test_a_run_is_finished_after_its_epochs_or_its_patience():
    assert not finished(CONFIG, history_of(0.1, 0.2, 0.3))
    assert finished(CONFIG, history_of(0.1, 0.2, 0.3, 0.4))
    assert not finished(CONFIG, history_of(0.5, 0.2))
    assert finished(CONFIG, history_of(0.5, 0.2, 0.1))
    assert not finished(TrainConfig(early_stopping=0), history_of(0.5, *(20 * [0.1])))


def test_a_run_out_of_time_is_finished_once_it_has_a_best_checkpoint():
    config = TrainConfig(max_minutes=1.0)
    history = History(seconds=60.0)
    assert out_of_time(config, history)
    assert not finished(config, history)
    history.end_epoch({"score": 0.0})
    assert finished(config, history)
    assert not out_of_time(TrainConfig(), History(seconds=1e9))


def test_the_status_estimates_the_time_left():
    history = History(step=5, seconds=10.0, losses=(1.0, 3.0), best={"score": 0.5}, last_score=0.4)
    now = status(CONFIG, history)
    assert (now.step, now.total, now.loss, now.score, now.best) == (5, 20, 2.0, 0.4, 0.5)
    assert now.seconds_left == pytest.approx(30.0)
    start = status(CONFIG, History())
    assert (start.seconds_left, start.score, start.best) == (0.0, None, None)


def test_the_status_says_which_epoch_it_is_and_which_was_the_best():
    history = history_of(0.2, 0.5, 0.5)
    assert (history.best_epoch, status(CONFIG, history).best_epoch) == (2, 2)
    assert status(TrainConfig(epochs=9), history).epoch == 4
    assert status(TrainConfig(epochs=3), history).epoch == 3  # finished
    history.begin_corrections()
    assert status(CONFIG, history).best_epoch == 0


def test_doubts_name_what_cut_a_run_short_and_the_tasks_that_scored_zero():
    config = TrainConfig(epochs=2, steps_per_epoch=10, max_minutes=2.0)
    fine = {"ais": 0.5, "score": 0.5}
    assert doubts(config, History(step=7, seconds=119.0), fine) == []
    assert doubts(config, History(step=20, seconds=121.0), fine) == []
    (cut,) = doubts(config, History(step=7, seconds=121.0), fine)
    assert "max_minutes (2) were over after 7 of 20 steps; go on with --resume" in cut
    (zero,) = doubts(config, History(), {"ais": 0.4, "point": 0.0, "box": 0.0, "score": 0.13})
    assert zero.startswith("validation scores of 0 (point, box): not one object")


def test_a_history_survives_json():
    history = History(step=3, seconds=0.1 + 0.2, best={"score": 0.1}, losses=(0.1, 0.2))
    assert from_json(History, to_json(history), where="x") == history
