"""What a run does where memory is short, by the forecast."""

import dataclasses

import pytest
import tiny

from samzoo.training.config import TrainConfig

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from samzoo.training.planning import memory_choice  # noqa: E402
from samzoo.training.planning.forecast import forecast_of  # noqa: E402
from samzoo.training.planning.machine import Machine  # noqa: E402
from samzoo.training.planning.memory_choice import MemoryChoice, chosen_memory  # noqa: E402

GB = 2**30
BASE = tiny.make_config("vit", ais=False)
AUTO = TrainConfig(
    n_objects=2, n_sub_iteration=2, ais_decoder=tiny.AIS_DECODER, recompute_blocks="auto"
)


def choice(memory, less, free):
    """The choice on a machine whose run needs so many GB, and with recomputed blocks ``less``."""
    machine = Machine("cpu", "2 cores", 64 * GB, int((free - 1) * GB), GB)
    fits = memory <= free
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory_choice, "forecast_of", lambda *_, **__: dataclasses.replace(
            FORECAST, memory=int(memory * GB), fits=fits,
            memory_recomputed=None if fits else int(less * GB),
        ))  # fmt: skip
        return chosen_memory(BASE, "lora", AUTO, precision="32-true", machine=machine)


FORECAST = forecast_of(
    BASE, "lora", dataclasses.replace(AUTO, recompute_blocks=False),
    Machine("cpu", "2 cores", 64 * GB, 64 * GB, 0),
)  # fmt: skip


def test_with_enough_memory_nothing_is_computed_again_or_returned():
    assert choice(4, 3, free=6) == MemoryChoice(recompute=False, keep_freed=True)


def test_freed_memory_is_returned_where_half_as_much_again_is_not_there():
    found = choice(4, 3, free=5.9)
    assert (found.recompute, found.keep_freed) == (False, False)
    (told,) = found.sentences
    assert "the run needs about 4.0 GB, and half as much again is not there" in told


def test_blocks_are_computed_again_where_the_run_would_not_fit():
    found = choice(9, 3, free=5)
    assert (found.recompute, found.keep_freed) == (True, True)
    (told,) = found.sentences
    assert told == (
        "recompute_blocks is on: the run needs about 9.0 GB without it and 3.0 GB with it, and "
        "5.0 GB are there"
    )
    found = choice(9, 7, free=5)
    assert (found.recompute, found.keep_freed) == (True, False)
    assert "even that may not be enough, samzoo plan" in found.sentences[0]


@pytest.mark.parametrize("given", [True, False])
def test_what_the_config_says_is_done_without_a_forecast(given, monkeypatch):
    monkeypatch.setattr(memory_choice, "forecast_of", None)
    config = dataclasses.replace(AUTO, recompute_blocks=given)
    assert chosen_memory(BASE, "lora", config, precision="32-true") == MemoryChoice(given, True)


def test_auto_is_planned_as_off_and_as_on_where_that_does_not_fit():
    little = Machine("cpu", "2 cores", 64 * GB, 1, 0)
    found = forecast_of(BASE, "lora", AUTO, little)
    assert found.memory == FORECAST.memory
    again = dataclasses.replace(AUTO, recompute_blocks=True)
    assert found.memory_recomputed == forecast_of(BASE, "lora", again, little).memory
