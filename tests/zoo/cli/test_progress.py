"""Progress bars: one a stage on a terminal, nothing elsewhere."""

import io
from types import SimpleNamespace

import pytest

from samzoo.zoo.cli import progress
from samzoo.zoo.cli.progress import ProgressBar, TrainingBar, step_lines


class Terminal(io.StringIO):
    def isatty(self):
        return True


def status(step, **fields):
    values = {
        "score": None, "best": None, "seconds_left": 75.0, "loss": 0.5, "total": 10, "epoch": 1,
        "epochs": 2,
    }  # fmt: skip
    return SimpleNamespace(step=step, **{**values, **fields})


@pytest.fixture
def terminal(monkeypatch):
    stream = Terminal()
    # Not sys.stderr itself, which pytest replaces between a fixture and its test.
    monkeypatch.setattr(progress, "sys", SimpleNamespace(stderr=stream))
    return stream


def test_nothing_is_drawn_where_stderr_is_no_terminal(capsys):
    bar = ProgressBar()
    bar("embed", 1, 2)
    bar.close()
    assert capsys.readouterr() == ("", "")


def test_without_a_terminal_training_tells_the_first_step_each_epoch_and_every_half_minute(
    capsys, monkeypatch
):
    times = iter([0.0, 10.0, 20.0, 40.0, 80.0])
    monkeypatch.setattr("samzoo.zoo.cli.progress.time.monotonic", lambda: next(times))
    training = TrainingBar()
    for each in (
        status(1), status(2), status(5, score=0.61, best=0.65, epoch=2),
        status(6, score=0.61, best=0.65, epoch=2), status(7, score=0.61, best=0.65, epoch=2),
    ):  # fmt: skip
        training(each)
    training.close()
    assert capsys.readouterr().err.splitlines() == [
        "samzoo: epoch 1 of 2, step 1 of 10: loss 0.500, left 1:15",
        "samzoo: epoch 2 of 2, step 5 of 10: loss 0.500, score 0.610, best 0.650, left 1:15",
        "samzoo: epoch 2 of 2, step 7 of 10: loss 0.500, score 0.610, best 0.650, left 1:15",
    ]


def test_stages_after_the_last_step_are_told_at_begin_and_end_and_every_half_minute(
    capsys, monkeypatch
):
    times = iter([0.0, 10.0, 20.0, 55.0, 60.0, 61.0])
    monkeypatch.setattr("samzoo.zoo.cli.progress.time.monotonic", lambda: next(times))
    training = TrainingBar()
    training(status(1))
    for call in (("maps", 1, 4), ("maps", 2, 4), ("maps", 3, 4), ("maps", 4, 4), ("rest", 1, 2)):
        training.stage(*call)
    training.close()
    assert capsys.readouterr().err.splitlines()[1:] == [
        "samzoo: maps: 1 of 4", "samzoo: maps: 3 of 4", "samzoo: maps: 4 of 4",
        "samzoo: rest: 1 of 2",
    ]  # fmt: skip


def test_stages_have_a_bar_each_on_a_terminal(terminal):
    training = TrainingBar()
    training(status(1))
    training.stage("maps", 1, 4)
    training.stage("rest", 1, 2)
    training.close()
    drawn = terminal.getvalue()
    assert drawn.index("train") < drawn.index("maps") < drawn.index("rest")


def test_long_steps_are_told_without_a_terminal_too(capsys):
    with step_lines() as progress:
        progress("graph encoder", 0, 2)
        progress("target osam", 1, 2)
        progress("target osam", 2, 2)
    expected = "samzoo: [1/2] graph encoder\nsamzoo: [2/2] target osam\n"
    assert capsys.readouterr() == ("", expected)


def test_each_stage_has_its_own_bar(terminal):
    bar = ProgressBar()
    for stage, done in (("embed", 1), ("embed", 2), ("prompt", 1)):
        bar(stage, done, 2)
    bar.close()
    drawn = terminal.getvalue()
    assert "embed:  50%" in drawn
    assert "embed: 100%" in drawn
    assert "prompt:  50%" in drawn


def test_an_unknown_total_has_no_percentage(terminal):
    bar = ProgressBar()
    bar("read", 3, 0)
    bar.close()
    assert "read: " in terminal.getvalue()
    assert "%" not in terminal.getvalue()


def test_training_shows_loss_score_best_and_time_left(terminal):
    bar = TrainingBar()
    bar(status(4))
    bar(status(5, score=0.61, best=0.65))
    bar.close()
    drawn = terminal.getvalue()
    for part in ("5/10", "loss=0.500", "score=0.610", "best=0.650", "left=1:15"):
        assert part in drawn, part


def test_where_corrections_begin_there_is_a_score_and_no_best(terminal):
    bar = TrainingBar()
    bar(status(6, score=0.61, best=None))
    bar.close()
    assert "score=0.610" in terminal.getvalue()
    assert "best" not in terminal.getvalue()


def test_closing_twice_or_unused_bars_is_harmless():
    for bar in (ProgressBar(), TrainingBar()):
        bar.close()
        bar.close()
